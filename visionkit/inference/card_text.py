"""Words of a model card: what a model does, what it cannot, and how its images are prepared."""

from __future__ import annotations

import re
from typing import Any

from visionkit.inference.description import Description

TASKS = {
    "single-label": ("image-classification", "class", "gives an image one of {n} classes"),
    "multi-label": ("image-classification", "tag", "gives an image any number of {n} tags"),
    "segmentation": ("image-segmentation", "code", "gives every pixel of an image one of {n} codes"),
    "keypoints": ("keypoint-detection", "point", "finds {n} points in an image"),
}
"""The Hub's name of the task, what an output stands for, and what the model does."""

USAGE = {
    "single-label": 'print(model.predict("photo.jpg").top(3))',
    "multi-label": 'print(model.predict("photo.jpg").tags)',
    "segmentation": 'model.predict("photo.jpg").picture().save("mask.png")',
    "keypoints": 'print(model.predict("photo.jpg").points)',
}
_ALWAYS = {
    "single-label": "Every image gets one of the classes, also where none of them fits.",
    "multi-label": "What has no tag in the list is never told; tags were learnt together, as they occur in "
    "the training images.",
    "segmentation": "Every pixel gets one of the codes, also where none of them fits.",
    "keypoints": "Every image gets all points, also where there is nothing to find.",
}
FEW = 20
"""Images of a class below which a card warns."""


def markdown(text: object) -> str:
    """`text` as it reads in Markdown, on one line: nothing in it is markup, a link or HTML."""
    line = "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in " ".join(str(text).split())
    )
    escaped = re.sub(r"([\\`*\[\]|~#$])", r"\\\1", line)
    escaped = re.sub(r"(?<![^\W_])_|_(?![^\W_])", r"\\_", escaped)  # inside of a word it means itself
    escaped = escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"^([-+=]|\d+[.)])(?=\s|$)|^(---+|===+)$", _unlisted, escaped).replace("://", ":&#47;&#47;")


def _unlisted(match: re.Match[str]) -> str:
    start = match[0]
    return f"{start[:-1]}\\{start[-1]}" if start[0].isdigit() else f"\\{start}"


def steps(description: Description) -> list[str]:
    """Each step of the preprocessing in a line."""
    prepared = description.preprocessing
    turned = "turned upright by its EXIF mark" if prepared.upright else "not turned by EXIF marks"
    said = [f"the picture in Pillow's mode {prepared.mode}, {turned}"]
    for step in prepared.steps:
        given: dict[str, Any] = step.model_dump(exclude={"step"}, exclude_none=True)
        said.append(f"{step.step}: " + ", ".join(f"{name} {_value(value)}" for name, value in given.items()))
    return said


def limits(description: Description, info: dict[str, Any]) -> list[str]:
    """What the model cannot do, as far as visionkit knows."""
    height, width = description.input_size
    _, kind, _ = TASKS[description.task]
    data, settings = info.get("data") or {}, info.get("settings") or {}
    found = []
    if description.synthetic:
        found.append("It has seen nothing but drawn images: do not use it on real ones.")
    found.append(_ALWAYS[description.task])
    found.append(
        f"The network sees an image at {height} x {width} pixels, as prepared below: what is too small "
        "there, or cut away, is not seen."
    )
    if data:
        split = str(settings.get("split") or "recipe")
        how = {
            "recipe": "as the data set or its recipe divides them",
            "random": "drawn by chance",
            "stratified": "drawn so that classes keep their shares",
            "folder": "by folders",
        }.get(split, "by a file that names them")
        found.append(
            f"The {int(data.get('valid', 0)):,} validation images, {how}, are of the same source as the "
            f"{int(data.get('train', 0)):,} training images. Images of another origin may do worse, and "
            "settings that were chosen by these figures make them too good."
        )
    few = sorted(
        name for name, count in (data.get("classes") or {}).items() if isinstance(count, int) and count < FEW
    )
    if few and description.task in ("single-label", "multi-label"):
        more = f" and {len(few) - 5:,} more" if len(few) > 5 else ""
        found.append(f"Fewer than {FEW} images have the {kind} {', '.join(few[:5])}{more}.")
    if not description.exact:
        found.append(f"Predictions may differ from those of the training's validation: {description.caveat}.")
    return found


def _value(value: Any) -> str:
    if isinstance(value, list):
        return "(" + ", ".join(_value(each) for each in value) + ")"
    return (
        f"{value:g}"
        if isinstance(value, float)
        else str(value).lower()
        if isinstance(value, bool)
        else str(value)
    )
