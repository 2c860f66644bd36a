"""The settings of a user's own table."""

from __future__ import annotations

from typing import Annotated, Literal

from visionkit.data.photos import PhotoSettings
from visionkit.setting_types import Names, OptionalPath, setting


class TableSettings(PhotoSettings):
    """Which table, and what its columns are; what is not given is found."""

    csv: Annotated[
        OptionalPath, setting("The CSV file, from --data; the only .csv or .tsv there if empty.", "Recipe")
    ] = None
    separator: Annotated[
        str, setting("Between columns: found, or comma, semicolon, tab, pipe or a character.", "Recipe")
    ] = ""
    folder: Annotated[
        str,
        setting("Folder of the images, from --data; the one that has the named files if empty.", "Recipe"),
    ] = ""
    image_column: Annotated[
        str, setting("Column of the images' names; the one that names files if empty.", "Recipe")
    ] = ""
    label_column: Annotated[
        Names,
        setting(
            "Column of the labels; several hold 1 for the tags that an image has, else 0.",
            "Recipe",
            "COLUMN…",
        ),
    ] = ()
    labels: Annotated[
        Literal["auto", "one", "many"], setting("Labels of an image; auto goes by the values.", "Recipe")
    ] = "auto"
    label_delim: Annotated[
        str,
        setting(
            "Between the labels of an image: found, or space, comma, semicolon, tab, pipe or text.", "Recipe"
        ),
    ] = ""
    valid_column: Annotated[
        str,
        setting(
            "Column that says who validates (1, true, valid); found by name and values if empty.", "Recipe"
        ),
    ] = ""
