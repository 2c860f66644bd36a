"""`visionkit export RUN`: a trained model in a form for others."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from visionkit.cli.common_options import SettingsOption
from visionkit.cli.completion import complete_runs

if TYPE_CHECKING:
    from visionkit.inference.export import Exported
    from visionkit.runs import Run

HELP = (
    "Write a run's model for others.\n\n"
    "onnx (for ONNX Runtime and many others) and pt2 (for torch.export.load) take the pixels of images (of "
    "those for labels and tags, turned upright by their EXIF mark before), and give probabilities, masks or "
    "points. Each is run on real validation images beside PyTorch's model; where they do not agree, nothing "
    "is written. safetensors is the bundle: weights and JSON; fastai is a pickled Learner."
)


def export(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            autocompletion=complete_runs,
            help="A run folder, a run's name, 'last', or a folder with model.json.",
        ),
    ],
    to: Annotated[
        Literal["onnx", "pt2", "safetensors", "fastai"], typer.Option(help="The form to write.")
    ] = "safetensors",
    out: Annotated[
        Path | None, typer.Option(metavar="PATH", help="Where to; by default export/ in the run folder.")
    ] = None,
    preprocessing: Annotated[
        Literal["graph", "outside"],
        typer.Option(
            help="Take the pixels of images, or inputs that the caller has prepared as a JSON beside the "
            "model says; onnx and pt2.",
            rich_help_panel="Graph",
        ),
    ] = "graph",
    precision: Annotated[
        Literal["fp32", "fp16", "int8"],
        typer.Option(help="Of the weights; fp16 and int8 are for onnx.", rich_help_panel="Graph"),
    ] = "fp32",
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Images to compare on, instead of the run's validation images.",
            rich_help_panel="Comparison",
            show_default=False,
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            help="How much a probability may differ; by default 0.001, 0.02 with fp16, and 1 with int8: "
            "there only answers count.",
            rich_help_panel="Comparison",
            show_default=False,
        ),
    ] = None,
    same: Annotated[
        float | None,
        typer.Option(
            metavar="SHARE",
            help="Share of answers that must be the same; by default 0.99, 0.98 with fp16 and 0.9 with int8.",
            rich_help_panel="Comparison",
            show_default=False,
        ),
    ] = None,
    settings: SettingsOption = None,
) -> None:
    """Write a run's model for others; see `HELP`."""
    from visionkit.cli.progress import terminal_progress
    from visionkit.settings_file import SettingsFile

    file = SettingsFile.read(settings)
    found = _model(run, file.paths().runs)
    from visionkit.inference.export import export_model
    from visionkit.inference.exporting.request import ExportRequest

    request = ExportRequest(to, out, preprocessing, precision, data, tolerance, same)
    with terminal_progress(stderr=True) as progress:
        exported = export_model(found, request, file.store(progress), progress)
    if exported.rows:
        print_comparison(exported)
    typer.echo(exported.path)
    if to == "fastai":
        typer.echo(
            "A pickle: load_learner runs code from it, so load it only where you trust its origin.", err=True
        )


def _model(name: str, runs: Path) -> Run | Path:
    from visionkit.inference.bundle_files import DESCRIPTION_FILE
    from visionkit.runs import RUN_FILE, find_run

    folder = Path(name).expanduser()
    bundle = (folder / DESCRIPTION_FILE).is_file() and not (folder / RUN_FILE).is_file()
    return folder if bundle else find_run(name, runs)


def print_comparison(exported: Exported) -> None:
    """A row for each form of the model."""
    from rich import box
    from rich.table import Table

    from visionkit.cli.tables import wide_console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    pytorch, *made = exported.rows
    inside = made[-1].comparison is not None and made[-1].comparison.own is not None
    heads = ["model", "MB", "max. difference", "same answers"]
    heads += ["from image files", ""] if inside else []
    heads += [exported.headline] if exported.headline is not None else []
    for number, head in enumerate([*heads, "images/s", "speed"]):
        table.add_column(head, justify="left" if number == 0 else "right")
    for row in exported.rows:
        cells = [row.name, f"{row.bytes / 1e6:.1f}"]
        agreements = () if row.comparison is None else (row.comparison.network, row.comparison.own)
        for each in agreements:
            if each is not None:
                cells += [f"{each.difference:.1e}", f"{each.same:.2%}"]
        cells += [""] * (2 + 2 * inside + 2 - len(cells))
        if exported.headline is not None:
            cells.append("" if row.figure is None else f"{row.figure:.4f}")
        table.add_row(*cells, f"{row.speed:,.1f}", f"{row.speed / pytorch.speed:.2f}x")
    wide_console().print(table)
    comparison = made[-1].comparison
    if comparison is not None:
        typer.echo(f"compared with PyTorch on {comparison.images} images")
