"""Labels from your own CSV file: one an image, or many.

Data: yours, a folder with images and a table of them. What its columns are, how they and labels are divided,
where the images lie and who validates is found, and said before the training; what cannot be told is asked
for. An image has many labels where they are divided by a bar, semicolon, comma or space, or where several
columns hold 0 and 1. Licence: yours.

Reference: none; the sample is the planet recipe's, with another table.
"""

from __future__ import annotations

from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from visionkit.data.label_tables import describe_table, read_label_table, task_of_table, test_rows
from visionkit.data.photos import photo_transforms
from visionkit.data.table_settings import TableSettings
from visionkit.recipe import Recipe, Sample
from visionkit.settings import MultiLabelSettings

if TYPE_CHECKING:
    from fastai.data.block import DataBlock


class CsvSettings(TableSettings, MultiLabelSettings):
    """The head first, then the whole network."""

    freeze_epochs: tuple[int, ...] = (3,)
    epochs: tuple[int, ...] = (3,)


def datablock(path: Path, settings: CsvSettings) -> DataBlock:
    """The images that the table names, with what it says of them."""
    import fastai.vision.all as fv

    table = read_label_table(path, settings)
    labels = fv.MultiCategoryBlock(vocab=table.vocab) if table.columns.many else fv.CategoryBlock
    return fv.DataBlock(
        blocks=(fv.ImageBlock, labels),
        get_items=lambda _: table.rows,
        get_x=attrgetter("path"),
        get_y=attrgetter("label"),
        splitter=table.splitter(settings),
        **photo_transforms(settings),
    )


recipe = Recipe(
    name="csv",
    task="single-label",
    task_of=task_of_table,
    dataset="images and a table of your own",
    licence="yours",
    headline="none, the data is yours",
    source=None,
    datablock=datablock,
    settings=CsvSettings,
    remark=describe_table,
    test_part=test_rows,
    sample=Sample(
        "visionkit.sources.samples.label_table:draw",
        {"size": 64, "epochs": (10,), "dropout": 0.0, "bs": 16, "lr": 0.003, "threshold": 0.2},
    ),
)
dataloaders, learner, train = recipe.dataloaders, recipe.learner, recipe.train
