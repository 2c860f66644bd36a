"""What can be chosen of Open Images, as settings of a training."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, model_validator
from pydantic_core import PydanticCustomError

from visionkit.setting_types import Names, OptionalInt, setting
from visionkit.settings import ClassifierSettings
from visionkit.sources.openimages.metadata import ADDRESS

ONE_PHOTO = r"([0-9a-f]{16}(?=_\d+\.\w+$)|[^/]+$)"
"""Finds the photo in the name of a cut-out box; in any other path the file's name."""


def _two_or_more(names: tuple[str, ...]) -> tuple[str, ...]:
    if len({name.casefold() for name in names}) < 2:
        raise PydanticCustomError("classes", "name two classes or more, to tell them apart")
    return names


class OpenImagesSettings(ClassifierSettings):
    """What to choose and how to cut it; the boxes of one photo stay together in every drawn split."""

    classes: Annotated[
        Names,
        AfterValidator(_two_or_more),
        setting("Classes to tell apart; --list shows them all.", "Recipe", "NAME…"),
    ] = ("Sandwich", "Hamburger")
    per_class: Annotated[
        int,
        setting(
            "Boxes of each class at most, small ones and those in dead links among them.", "Recipe", ge=1
        ),
    ] = 500
    photos: Annotated[
        Literal["original", "thumbnail"], setting("Photos as uploaded, or small ones.", "Recipe")
    ] = "original"
    min_side: Annotated[int, setting("Least side of a box, in pixels of the photo.", "Recipe", ge=1)] = 48
    margin: Annotated[
        float, setting("Share of a box's sides that is added around it.", "Recipe", ge=0, le=1)
    ] = 0.1
    occluded: Annotated[bool, setting("Take things that something stands before.", "Recipe")] = True
    truncated: Annotated[bool, setting("Take things that reach beyond the photo.", "Recipe")] = True
    depiction: Annotated[bool, setting("Take drawings, toys and statues.", "Recipe")] = False
    group: Annotated[bool, setting("Take boxes around whole groups.", "Recipe")] = False
    parallel: Annotated[
        int, setting("Photos fetched at once, at most four of them from one host.", "Recipe", ge=1, le=64)
    ] = 16
    pause: Annotated[
        float, setting("Seconds from one request to a host to the next.", "Recipe", ge=0.02, le=60)
    ] = 0.1
    metadata: Annotated[
        str,
        setting(
            "Address of the metadata, or a folder that has it; the data set's own address if left out.",
            "Recipe",
            "ADDRESS|FOLDER",
            min_length=1,
        ),
    ] = ADDRESS
    split: str = "stratified"
    presize: Annotated[
        OptionalInt, setting("Size of boxes before augmentation; twice --size if empty.", "Recipe")
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _keep_photos_together(cls, given: Any) -> Any:
        drawn = given.get("split", "stratified") in ("recipe", "random", "stratified")
        return {**given, "group_by": ONE_PHOTO} if drawn and not given.get("group_by") else given
