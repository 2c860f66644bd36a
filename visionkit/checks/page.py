"""What a check found as one HTML file that needs nothing else: for a browser, and to pass on."""

from __future__ import annotations

import base64
import io
import warnings
from collections import Counter
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from visionkit import __version__
from visionkit.atomic import write_atomically
from visionkit.checks.duplicates import DuplicateGroup
from visionkit.checks.result import CheckReport, concerned, grouped
from visionkit.data.opening import opened
from visionkit.disk_faults import cannot_write
from visionkit.progress import quantity
from visionkit.visible import visible

MOST_FILES = 200
MOST_GROUPS = 100
MOST_CLASSES = 200
MOST_THUMBNAILS = 200
THUMBNAILS_A_GROUP = 6
THUMBNAIL_SIDE = 112


def write_page(report: CheckReport, file: Path) -> None:
    """Write `report` as an HTML page to `file`, whole or not at all.

    Long lists are cut, and say so: 200 files a problem, 100 groups of duplicates, 200 classes. Up to 200
    duplicates are shown as thumbnails, which are part of the page.

    Raises:
        VisionkitError: the file cannot be written.
    """
    text = render_page(report)
    try:
        write_atomically(file, text)
    except OSError as error:
        raise cannot_write(file, error) from error


def render_page(report: CheckReport) -> str:
    """The page as text."""
    environment = Environment(loader=PackageLoader("visionkit.checks"), autoescape=True, trim_blocks=True)
    environment.filters["visible"] = visible
    groups = sorted(
        report.duplicates, key=lambda group: (not group.contradicts, not group.crosses, group.kind)
    )
    return environment.get_template("check.html").render(
        report=report,
        version=__version__,
        headline=headline(report),
        size=quantity(int(report.counts["bytes"]), "bytes"),
        problems=problem_rows(report),
        most_files=MOST_FILES,
        groups=_pictured(report, groups[:MOST_GROUPS]),
        more_groups=max(0, len(groups) - MOST_GROUPS),
        thumbnails_a_group=THUMBNAILS_A_GROUP,
        balance=balance_rows(report),
        more_classes=max(0, len(report.balance) - MOST_CLASSES),
        shares=sorted(report.pixel_share, key=lambda share: -share.pixels)[:MOST_CLASSES],
        excluded=len(report.excluded()),
    )


def headline(report: CheckReport) -> str:
    """What was found, in a few words."""
    counts = Counter(severity for severity, _ in grouped(report.problems))
    said = [f"{count} {severity}{'' if count == 1 else 's'}" for severity, count in counts.items()]
    return ", ".join(said) or "Nothing wrong was found"


def problem_rows(report: CheckReport) -> list[dict[str, Any]]:
    """A row for each kind of problem, with up to `MOST_FILES` of its files or messages."""
    rows = []
    for (severity, kind), problems in grouped(report.problems).items():
        files = list(dict.fromkeys(report.name(file) for each in problems for file in each.files))
        own_text = len(problems) > 1
        lines = [each.message for each in problems] if own_text else files
        rows.append(
            {
                "severity": severity,
                "kind": kind,
                "count": concerned(problems),
                "message": problems[0].message if not own_text else f"{len(problems):,} of this kind.",
                "lines": lines[:MOST_FILES],
                "more": max(0, len(lines) - MOST_FILES),
            }
        )
    return rows


def _pictured(report: CheckReport, groups: list[DuplicateGroup]) -> list[dict[str, Any]]:
    """The groups with thumbnails for the first of their files, while there are any left to give."""
    left = MOST_THUMBNAILS
    pictured = []
    for group in groups:
        files: list[dict[str, Any]] = []
        for place, file in enumerate(group.files[:MOST_FILES]):
            picture = thumbnail(file) if left > 0 and place < THUMBNAILS_A_GROUP else None
            left -= picture is not None
            files.append(
                {
                    "name": report.name(file),
                    "part": group.parts[place],
                    "label": group.labels[place],
                    "picture": picture,
                }
            )
        pictured.append({"group": group, "files": files, "more": max(0, len(group.files) - MOST_FILES)})
    return pictured


def balance_rows(report: CheckReport) -> list[dict[str, Any]]:
    """The classes with the widths of their bars in percent, the largest first; of many, both ends."""
    classes = sorted(report.balance, key=lambda each: -each.total)
    largest = max((each.total for each in classes), default=1)
    if len(classes) > MOST_CLASSES:
        classes = classes[: MOST_CLASSES // 2] + classes[-(MOST_CLASSES // 2) :]
    return [
        {
            "name": each.name,
            "train": each.train,
            "valid": each.valid,
            "other": each.other,
            "widths": [round(100 * count / largest, 2) for count in (each.train, each.valid, each.other)],
        }
        for each in classes
    ]


def thumbnail(file: Path) -> str | None:
    """A small JPEG of the image as a data URI; None where it cannot be read (any more)."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with opened(file) as image:
                image.draft("RGB", (2 * THUMBNAIL_SIDE, 2 * THUMBNAIL_SIDE))
                small = image.convert("RGB")
        small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE))
        content = io.BytesIO()
        small.save(content, "JPEG", quality=70)
    except Exception:  # as in `look`: decoders raise nearly anything, and a page does without the picture
        return None
    return "data:image/jpeg;base64," + base64.b64encode(content.getvalue()).decode("ascii")
