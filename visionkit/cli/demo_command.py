"""`visionkit demo RUN`: a model as a page to try it on images."""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from visionkit.cli.common_options import DeviceOption, SettingsOption
from visionkit.cli.completion import complete_runs
from visionkit.errors import UsageError

HELP = (
    "Serve a model as a page on this machine: drop images, see what it says.\n\n"
    "Classes with their probabilities, tags with their thresholds, masks and points over the image; several "
    "images at once. Only this machine reaches it, unless --host says otherwise. With --space, a folder that "
    "runs as a Hugging Face Space is written instead. Needs Gradio: pip install gradio."
)


def demo(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            autocompletion=complete_runs,
            help="A run folder, a run's name, 'last', a folder with a model, or hf:OWNER/NAME.",
            show_default=False,
        ),
    ],
    host: Annotated[
        str,
        typer.Option(
            metavar="ADDRESS",
            help="Address to listen at; 0.0.0.0 lets other machines in.",
            rich_help_panel="Page",
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            metavar="INTEGER",
            help="Port to listen at; by default the first that is free from 7860 on.",
            rich_help_panel="Page",
            show_default=False,
        ),
    ] = None,
    max_mb: Annotated[
        float,
        typer.Option(
            min=0.01, metavar="MEGABYTES", help="Largest file that is taken.", rich_help_panel="Page"
        ),
    ] = 20.0,
    examples: Annotated[
        int,
        typer.Option(
            min=0,
            max=100,
            metavar="INTEGER",
            help="Validation images of the run to click on.",
            rich_help_panel="Page",
        ),
    ] = 8,
    title: Annotated[
        str,
        typer.Option(
            metavar="TEXT", help="By default the model's name.", rich_help_panel="Page", show_default=False
        ),
    ] = "",
    browser: Annotated[
        bool, typer.Option("--open", metavar="", help="Open it in the browser.", rich_help_panel="Page")
    ] = False,
    space: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Write a folder for a Hugging Face Space, and serve nothing.",
            rich_help_panel="Page",
            show_default=False,
        ),
    ] = None,
    device: DeviceOption = "auto",
    settings: SettingsOption = None,
) -> None:
    """Serve a model as a page; see `HELP`."""
    if find_spec("gradio") is None:
        raise UsageError("visionkit demo needs Gradio: pip install gradio")
    os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
    from visionkit.cli.named_model import named_model
    from visionkit.demo.examples import validation_images
    from visionkit.runs import RUN_FILE, Run
    from visionkit.visible import visible

    model = named_model(run, settings)
    folder = model.parent
    own = Run.read(folder) if model.name == "model" and (folder / RUN_FILE).is_file() else None
    images = validation_images(own, examples) if own is not None else []
    name = title or (own.name if own is not None else run)
    if space is not None:
        from visionkit.demo.space import write_space

        if model.is_file():
            raise UsageError("--space takes a run or a folder with a model, no .onnx file.")
        write_space(space, model, name, images, max_mb)
        typer.echo(visible(space))
        return
    from visionkit.cli.progress import wait_message

    with wait_message("loading the model …"):
        from visionkit.demo.page import demo_page
        from visionkit.demo.serving import Serving, serve
        from visionkit.inference.predictor import load

        page = demo_page(load(model, device), name, images)
    serving = Serving(host, port, max_mb, browser)
    serve(page, serving, images, lambda address: typer.echo(f"{address} — Ctrl-C ends it."))
