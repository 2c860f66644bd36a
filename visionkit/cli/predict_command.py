"""`visionkit predict RUN PATH…`: a trained model's answers about images."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from visionkit.cli.answers_progress import answers_progress
from visionkit.cli.common_options import BatchOption, DeviceOption, SettingsOption
from visionkit.cli.completion import complete_runs
from visionkit.cli.named_model import named_model
from visionkit.cli.sharded_predict import share_of, write_shard
from visionkit.errors import UsageError
from visionkit.inference.quick_start import without_compiler
from visionkit.progress import Progress, Silence, quantity

if TYPE_CHECKING:
    from visionkit.inference.inputs import Entry, Input
    from visionkit.inference.printing import Printer
    from visionkit.inference.work import Work

HELP = (
    "Tell what a trained model sees in images: labels, tags, masks or points.\n\n"
    "Images are prepared as in the training's validation. One that cannot be used is named on standard "
    "error, the others go on, and the exit code is 1. Repeat a call with --out that was interrupted, and it "
    "goes on: no image is done twice. With --shard, many processes share the work."
)


def predict(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            autocompletion=complete_runs,
            help="A run folder, a run's name, 'last', a folder with model.json, or an exported .onnx file.",
            show_default=False,
        ),
    ],
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH|URL",
            help="Image files, folders (with all below them), patterns such as 'photos/**/*.jpg', http and "
            "https addresses, or with --column CSV files; - reads a list from standard input, one a line.",
            show_default=False,
        ),
    ],
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The paths are CSV files, and this column of theirs has the images: addresses, and paths "
            "from the folder of the CSV file.",
            rich_help_panel="Images",
            show_default=False,
        ),
    ] = None,
    bs: BatchOption = 32,
    device: DeviceOption = "auto",
    precision: Annotated[
        Literal["auto", "fp32", "bf16", "fp16"],
        typer.Option(
            metavar="auto|fp32|bf16|fp16",
            help="fp32 gives validation's figures; bf16, and fp16 on a GPU, are faster, and "
            "probabilities differ, now and then by hundredths; auto is bf16 where the device computes in it.",
            rich_help_panel="Machine",
        ),
    ] = "fp32",
    decision: Annotated[
        Literal["threshold", "expected-f2"] | None,
        typer.Option(
            metavar="threshold|expected-f2",
            help="How tags are chosen. By default as the model says.",
            rich_help_panel="Model",
            show_default=False,
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(
            metavar="NUMBER",
            min=0,
            max=1,
            help="The probability above which any tag counts. By default as the model says.",
            rich_help_panel="Model",
            show_default=False,
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE|FOLDER",
            help="Write the answers to a file that ends in .csv, .jsonl or .parquet, or for masks and "
            "points to a folder. If it is there, it is gone on with.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
    top: Annotated[
        int | None,
        typer.Option(
            metavar="INTEGER",
            min=1,
            help="Classes for each image, where it has one label. Default: 5.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
    probabilities: Annotated[
        bool,
        typer.Option(
            "--probabilities",
            metavar="",
            help="Give the probabilities of all classes or tags, too.",
            rich_help_panel="Output",
        ),
    ] = False,
    overlay: Annotated[
        bool | None,
        typer.Option(
            "--overlay/--no-overlay",
            metavar="",
            help="Draw masks or points over the images, into --out's folder. Default: masks only.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
    shard: Annotated[
        str | None,
        typer.Option(
            metavar="K/N",
            help="Do only the K-th of N even shares of the images, such as 3/16, into a folder of its own in "
            "--out FILE.parquet, while other processes do the others. torchrun gives each process its share. "
            "Then: visionkit merge.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
    json_output: Annotated[
        bool,
        typer.Option(
            "--json", metavar="", help="Print a JSON array, one object a line.", rich_help_panel="Output"
        ),
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """Tell what a trained model sees in images; see `HELP`."""
    if out is not None and json_output:
        raise UsageError("--json prints the answers and --out writes them to a file: give one of them.")
    if out is None and overlay:
        raise UsageError("--overlay writes pictures: give --out a folder for them.")
    part, rank = share_of(shard, out, images)
    with without_compiler():
        from visionkit.inference.work import Options, Work

    model = named_model(run, settings)
    if rank is not None and model.suffix != ".onnx":
        device = rank.device(device)
    options = Options(top, probabilities, overlay, decision, threshold, bs, device, precision)
    work = Work(model, options)
    if part is not None and out is not None:
        if write_shard(work, _entries(images, column, settings), out, part, rank) and rank is None:
            raise typer.Exit(1)
        return
    inputs = list(_inputs(images, column, settings))
    if out is None:
        failed = _print(work, inputs, json_output)
        listed = None
    else:
        failed, listed = _write(work, inputs, out)
    if failed:
        where = f" See {listed}." if listed else ""
        typer.echo(f"{failed:,} of {quantity(len(inputs), 'images')} could not be used.{where}", err=True)
        raise typer.Exit(1)


def _inputs(images: list[str], column: str | None, settings: Path | None) -> Iterator[Input]:
    from visionkit.inference.inputs import inputs_of

    return inputs_of(_entries(images, column, settings))


def _entries(images: list[str], column: str | None, settings: Path | None) -> Iterator[Entry]:
    """What is named, with tar files as wholes."""
    from visionkit.inference.inputs import named_entries, names_with_list, table_inputs
    from visionkit.settings_file import SettingsFile
    from visionkit.shards.named_images import Tars

    tars = Tars(lambda: SettingsFile.read(settings).store(Silence()))
    if column is None:
        return named_entries(names_with_list(images, sys.stdin.buffer), tars)
    if "-" in images:
        raise UsageError("--column reads CSV files: name them; - is a list of images.")
    return table_inputs(images, column, tars)


def _print(work: Work, inputs: list[Input], as_json: bool) -> int:
    """Print the answers as they come; returns for how many images there is none, having said why."""
    from visionkit.inference.printing import JsonPrinter, LinePrinter

    printed = sys.stdout  # a bar puts something of its own in this place
    printer = JsonPrinter(printed, work.form) if as_json else LinePrinter(printed, work.form)
    with answers_progress(printed.isatty()) as progress:
        return _printed(work, inputs, printer, progress)


def _printed(work: Work, inputs: list[Input], printer: Printer, progress: Progress) -> int:
    from visionkit.visible import visible

    failed = 0
    with progress.track("predict", len(inputs), "images") as advance:
        for answer in work.answers(inputs, progress):
            if answer.prediction is None:
                failed += 1
                progress.note(f"{visible(answer.input.name)}: {visible(answer.fault or '')}")
            else:
                printer.add(answer.input.name, answer.prediction)
            advance(1)
    printer.close()
    return failed


def _write(work: Work, inputs: list[Input], out: Path) -> tuple[int, Path | None]:
    """Write the answers; returns how many images have none, and the file that says why."""
    from visionkit.inference.predicting import predict_to

    with answers_progress(False) as progress:
        outcome = predict_to(work, inputs, out, progress)
    if outcome.there == outcome.total:
        typer.echo(f"nothing to do: {quantity(outcome.total, 'images')} are in {out}.", err=True)
    elif outcome.there:
        typer.echo(f"{outcome.new:,} new, {outcome.there:,} were there.", err=True)
    typer.echo(out)
    return outcome.failed, outcome.listed
