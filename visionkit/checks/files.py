"""Findings about image files: those that do not decode, wrong endings, odd modes, rotation, extreme sizes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from visionkit.checks.facts import ImageFacts
from visionkit.data.problems import Problem, Severity
from visionkit.data.splits import relative_name
from visionkit.errors import listing

TINY = 32
NARROW = 5.0
ENORMOUS = 50_000_000
TIMES_MEDIAN = 16

_ENDINGS = {
    "JPEG": (".jpg", ".jpeg"),
    "MPO": (".jpg", ".jpeg"),
    "PNG": (".png",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "BMP": (".bmp",),
    "DIB": (".bmp",),
    "TIFF": (".tif", ".tiff"),
}

_Test = Callable[[ImageFacts], bool]
_MODES: tuple[tuple[str, Severity, str, _Test], ...] = (
    ("CMYK", "note", "in CMYK; visionkit converts them to RGB", lambda facts: facts.mode == "CMYK"),
    (
        "deep pixels",
        "warning",
        "with 16 bits or more a pixel, or fractions; the conversion to RGB cuts off what is above 255 or "
        "behind the point. Scale them to 8 bits",
        lambda facts: facts.mode[0] in "IF",
    ),
    (
        "transparency",
        "note",
        "with transparency; visionkit drops it, which may uncover what it hid",
        lambda facts: facts.mode in ("LA", "La", "PA", "RGBA", "RGBa"),
    ),
    ("palette", "note", "with a palette; visionkit converts them to RGB", lambda facts: facts.mode == "P"),
    (
        "odd mode",
        "note",
        "in an unusual mode; visionkit converts them to RGB",
        lambda facts: (
            facts.mode[0] not in "IF"
            and facts.mode not in ("RGB", "L", "CMYK", "LA", "La", "PA", "RGBA", "RGBa", "P")
        ),
    ),
    (
        "animated",
        "warning",
        "with more than one frame; only the first is seen",
        # the second picture of a camera's MPO file is a preview
        lambda facts: facts.frames > 1 and facts.format != "MPO",
    ),
    (
        "EXIF rotation",
        "note",
        "with an EXIF mark that they are to be turned; for labels and tags, trainings and predictions turn "
        "them, and for masks and points they do not",
        lambda facts: facts.orientation != 1,
    ),
)
_AS_STORED: tuple[Severity, str] = (
    "warning",
    "with an EXIF mark that they are to be turned; viewers heed it, and trainings on masks or points do not, "
    "since these belong to the pixels as stored. Turn the pixels themselves, and masks and points with them",
)


def file_problems(images: Sequence[ImageFacts], root: Path, as_stored: bool = False) -> list[Problem]:
    """What is wrong with the files themselves.

    Args:
        images: what was seen of them.
        root: the folder that names are told from.
        as_stored: whether a training sees the images as they are stored, whatever their EXIF marks say.
    """
    good = [facts for facts in images if facts.fault is None]
    return [
        *_faults(images, root),
        *_wrong_endings(good, root),
        *(
            _grouped(kind, *told, [facts for facts in good if test(facts)], root)
            for kind, severity, what, test in _MODES
            for told in [_AS_STORED if as_stored and kind == "EXIF rotation" else (severity, what)]
            if any(map(test, good))
        ),
        *_sizes(good, root),
    ]


def _faults(images: Iterable[ImageFacts], root: Path) -> Iterator[Problem]:
    for facts in images:
        if facts.fault is not None:
            yield Problem(
                facts.fault_kind,
                "error",
                f"{relative_name(facts.path, root)}: {facts.fault}. Replace it, or remove it with its label.",
                (facts.path,),
            )


def _wrong_endings(images: Iterable[ImageFacts], root: Path) -> Iterator[Problem]:
    wrong = [
        facts
        for facts in images
        if facts.path.suffix.lower() not in _ENDINGS.get(facts.format, (facts.path.suffix.lower(),))
    ]
    if wrong:
        names = listing([f"{relative_name(facts.path, root)} is a {facts.format}" for facts in wrong])
        yield Problem(
            "wrong ending",
            "warning",
            f"{_count(wrong)} named otherwise than the content: {names}. visionkit reads by content; other "
            "programs may not. Rename them.",
            tuple(facts.path for facts in wrong),
        )


def _sizes(images: Sequence[ImageFacts], root: Path) -> Iterator[Problem]:
    if not images:
        return
    median = float(np.median([facts.width * facts.height for facts in images]))
    tiny = [facts for facts in images if min(facts.width, facts.height) < TINY]
    if tiny:
        # where most images are tiny, that is how the data set is
        severity: Severity = "warning" if 2 * len(tiny) < len(images) else "note"
        yield _grouped("tiny", severity, f"with a side below {TINY} px", tiny, root, sizes=True)
    narrow = [
        facts for facts in images if max(facts.width, facts.height) > NARROW * min(facts.width, facts.height)
    ]
    if narrow:
        what = f"more than {NARROW:g} times as long as wide; little is left of them when they are made square"
        yield _grouped("extreme shape", "warning", what, narrow, root, sizes=True)
    enormous = [facts for facts in images if facts.width * facts.height > ENORMOUS]
    if enormous:
        what = f"of more than {ENORMOUS // 10**6} megapixels; they are slow to decode. Make them smaller"
        yield _grouped("enormous", "warning", what, enormous, root, sizes=True)
    large = [facts for facts in images if TIMES_MEDIAN * median < facts.width * facts.height <= ENORMOUS]
    if large:
        what = f"with more than {TIMES_MEDIAN} times the pixels of the median image"
        yield _grouped("far larger", "note", what, large, root, sizes=True)


def _grouped(
    kind: str, severity: Severity, what: str, images: Sequence[ImageFacts], root: Path, sizes: bool = False
) -> Problem:
    """One problem for all `images` that have it."""
    names = [
        relative_name(facts.path, root) + (f" ({facts.width}x{facts.height})" if sizes else "")
        for facts in images
    ]
    return Problem(
        kind,
        severity,
        f"{_count(images)} {what}: {listing(names, 3)}.",
        tuple(facts.path for facts in images),
    )


def _count(images: Sequence[ImageFacts]) -> str:
    return f"{len(images):,} image{'' if len(images) == 1 else 's'}"
