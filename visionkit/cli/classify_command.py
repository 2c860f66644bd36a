"""`visionkit classify`: what an ImageNet-pretrained network sees in images."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from visionkit.cli.answers_progress import answers_progress
from visionkit.cli.common_options import BatchOption, DeviceOption
from visionkit.errors import UsageError
from visionkit.progress import Progress, quantity
from visionkit.visible import visible

if TYPE_CHECKING:
    from visionkit.inference.answers import AnswerWriter
    from visionkit.inference.image_sources import Unusable
    from visionkit.inference.imagenet import Answer

HELP = (
    "Tell what an ImageNet-pretrained network sees in images: its likeliest classes.\n\n"
    "The weights' own preprocessing is used. Images are read by content, turned as their EXIF mark says, and "
    "transparency is laid on white. One that cannot be read is named on standard error, the others go on, "
    "and the exit code is 1."
)


def classify(
    images: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH|URL",
            help="Image files, folders (with all below them), patterns such as 'photos/**/*.jpg', http and "
            "https addresses; - reads a list from standard input, one a line.",
            show_default=False,
        ),
    ],
    arch: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="Any classifier of torchvision (vgg16, convnext_tiny, vit_b_16 …), else of timm where that "
            "is installed; timm/NAME is timm's where both have it.",
            rich_help_panel="Network",
        ),
    ] = "resnet50",
    weights: Annotated[
        str | None,
        typer.Option(
            metavar="FILE|NAME",
            help="A state dict (.safetensors, or .pth with tensors only), or weights that the library "
            "offers, such as IMAGENET1K_V1. By default the library's own.",
            rich_help_panel="Network",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = "auto",
    bs: BatchOption = 32,
    top: Annotated[
        int, typer.Option(metavar="INTEGER", min=1, help="Classes for each image.", rich_help_panel="Output")
    ] = 5,
    json_output: Annotated[
        bool,
        typer.Option(
            "--json",
            metavar="",
            help="Print a JSON array, one object a line: "
            '{"image": …, "top": [{"class": 281, "label": "tabby", "probability": 0.62}, …]}.',
            rich_help_panel="Output",
        ),
    ] = False,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Write the answers to a new file instead: .csv, .json, or .jsonl with one object a line.",
            rich_help_panel="Output",
            show_default=False,
        ),
    ] = None,
) -> None:
    """Tell what an ImageNet-pretrained network sees in images; see `HELP`."""
    from visionkit.inference.answers import answers_file, check_target
    from visionkit.inference.image_sources import Unusable, find_images
    from visionkit.inference.inputs import names_with_list

    if out is not None:
        if json_output:
            raise UsageError("--json prints the answers and --out writes them to a file: give one of them.")
        check_target(out)
    found = list(find_images(names_with_list(images, sys.stdin.buffer)))
    usable = any(not isinstance(image, Unusable) for image in found)
    answers = _answers(found, arch, weights, device, bs, top) if usable else _faults(found)
    printed = sys.stdout  # a bar puts something of its own in this place
    writing = answers_file(out) if out is not None and usable else nullcontext(_printer(printed, json_output))
    with answers_progress(out is None and printed.isatty()) as progress, writing as writer:
        failed = _write(answers, writer, progress, len(found))
    if out is not None and usable:
        typer.echo(out)
    if failed:
        typer.echo(f"{failed:,} of {quantity(len(found), 'images')} could not be classified.", err=True)
        raise typer.Exit(1)


def _answers(
    found: list[str | Unusable], arch: str, weights: str | None, device: str, bs: int, top: int
) -> Iterator[Answer]:
    from visionkit.inference.imagenet import Classifier

    classifier = Classifier(arch, weights, device, bs)
    typer.echo(f"network    {classifier}", err=True)
    return classifier.classify(found, top)


def _faults(found: list[str | Unusable]) -> Iterator[Answer]:
    """Where no image can be used, nothing has to be loaded to say so."""
    from visionkit.inference.imagenet import Answer

    return (Answer(each.name, fault=each.reason) for each in found if not isinstance(each, str))


def _write(answers: Iterator[Answer], writer: AnswerWriter, progress: Progress, total: int) -> int:
    """Write the answers as they come; returns for how many images there is none, having said why."""
    failed = 0
    with progress.track("classify", total, "images") as advance:
        for answer in answers:
            if answer.fault is None:
                writer.add(answer)
            else:
                failed += 1
                progress.note(f"{visible(answer.image)}: {visible(answer.fault)}")
            advance(1)
    writer.close()
    return failed


def _printer(stream: TextIO, as_json: bool) -> AnswerWriter:
    from visionkit.inference.answers import JsonWriter, TableWriter

    return JsonWriter(stream) if as_json else TableWriter(stream)
