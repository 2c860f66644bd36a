"""`visionkit card`, `push` and `load`: a model's card, and the way to the Hugging Face Hub and back."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from visionkit.cli.common_options import SettingsOption
from visionkit.cli.completion import complete_runs
from visionkit.disk_faults import cannot_write
from visionkit.errors import UsageError, listing

if TYPE_CHECKING:
    from visionkit.inference.predictor import Predictor

LOAD_HELP = (
    "Fetch a model, check it, and say what it is and where it lies.\n\n"
    "Only its weights and their description are fetched, into the cache of the Hugging Face Hub; nothing is "
    "executed. Wherever a model is named, as in `visionkit predict`, hf:OWNER/NAME does the same."
)
PUSH_HELP = (
    "Put a model on the Hugging Face Hub: weights, description and card in one commit.\n\n"
    "The token is that of `hf auth login`, or $HF_TOKEN. The card is written as `visionkit card` writes it; "
    "one that was changed by hand is taken as it is."
)
ModelName = Annotated[
    str,
    typer.Argument(
        metavar="RUN",
        autocompletion=complete_runs,
        help="A run folder, a run's name, 'last', or a folder with a model.",
        show_default=False,
    ),
]


def card(
    run: ModelName,
    out: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="The file; by default README.md beside the run's model."),
    ] = None,
    force: Annotated[
        bool, typer.Option("--force", metavar="", help="Write over a card that was changed by hand.")
    ] = False,
    settings: SettingsOption = None,
) -> None:
    """Write a model card in Hugging Face's format: task, data, training, figures, limits, how to load."""
    from visionkit.inference.card import write_card

    if run.startswith("hf:") and out is None:
        raise UsageError(f"{run}: the cache of the Hub is not written to. Name a file with --out.")
    typer.echo(write_card(model_folder(run, settings), out, force=force))


def push(
    run: ModelName,
    to: Annotated[
        str, typer.Argument(metavar="OWNER/NAME", help="Where to, on the Hub.", show_default=False)
    ],
    private: Annotated[
        bool, typer.Option("--private", metavar="", help="Make a new repository private.")
    ] = False,
    message: Annotated[str, typer.Option(metavar="TEXT", help="Of the commit.", show_default=False)] = "",
    revision: Annotated[
        str | None,
        typer.Option(metavar="BRANCH", help="Made where it is not there; by default the main branch."),
    ] = None,
    settings: SettingsOption = None,
) -> None:
    """Put a model on the Hugging Face Hub; see `PUSH_HELP`."""
    from visionkit.inference.card import CARD_FILE, is_untouched, write_card
    from visionkit.inference.hub import HubModel
    from visionkit.inference.hub_push import push_model

    if run.startswith("hf:"):
        raise UsageError(f"{run}: is on the Hub already. Name a run, or a folder with a model.")
    name = str(HubModel.parse(f"{to}@{revision}" if revision else to))
    folder = model_folder(run, settings)
    readme = folder / CARD_FILE
    if is_untouched(readme):
        write_card(folder, name=name)
    else:
        typer.echo(f"card       {readme}, as it was changed by hand", err=True)
    pushed = push_model(folder, readme, to, private=private, message=message, revision=revision)
    typer.echo(f"commit     {pushed.commit}", err=True)
    typer.echo(f"load it    visionkit load {pushed.name}", err=True)
    typer.echo(pushed.page)


def load(
    model: Annotated[
        str,
        typer.Argument(
            metavar="hf:OWNER/NAME",
            help="A model on the Hub, also hf:OWNER/NAME@REVISION with a branch, tag or commit; or a run.",
            show_default=False,
        ),
    ],
    out: Annotated[
        Path | None,
        typer.Option(metavar="FOLDER", help="Copy the model into this new folder.", show_default=False),
    ] = None,
    settings: SettingsOption = None,
) -> None:
    """Fetch a model, check it, and say what it is; see `LOAD_HELP`."""
    from visionkit.inference.predictor import load as load_model

    if out is not None and os.path.lexists(out):
        raise UsageError(f"--out {out}: is there already. Name a new folder; nothing was touched.")
    folder = model_folder(model, settings)
    loaded = load_model(folder, "cpu")
    if out is not None:
        folder = _copied(folder, out.expanduser())
    for name, text in _facts(loaded):
        typer.echo(f"{name:10s} {text}")
    typer.echo(f"folder     {folder}")


def model_folder(name: str, settings: Path | None) -> Path:
    """The folder of the bundle that `name` means: of a run, of the Hub, or a folder with a model."""
    from visionkit.inference.bundle_files import DESCRIPTION_FILE
    from visionkit.inference.hub import HubModel
    from visionkit.inference.predictor import bundle_folder
    from visionkit.runs import find_run
    from visionkit.settings_file import SettingsFile

    if name.startswith("hf:"):
        typer.echo(f"fetching   {HubModel.parse(name)}, where it is not in the cache", err=True)
        return bundle_folder(name)
    if (Path(name).expanduser() / DESCRIPTION_FILE).is_file():
        return bundle_folder(name)
    return bundle_folder(find_run(name, SettingsFile.read(settings).paths().runs))


def _facts(model: Predictor) -> list[tuple[str, str]]:
    from visionkit.progress import quantity
    from visionkit.visible import visible

    said = model.description
    height, width = said.input_size
    weights = quantity(said.weights.bytes, "bytes")
    facts = [
        ("model", f"{visible(said.recipe)}: {said.task}, {visible(said.dataset)}"),
        ("network", f"{said.network.arch} ({said.network.library}), {height} x {width} pixels, {weights}"),
        ("names", f"{len(said.vocab):,}: {listing([visible(name) for name in said.vocab], 8)}"),
    ]
    figures = [f"{visible(name)} {value:.4f}" for name, value in said.metrics.items() if value is not None]
    if figures:
        facts.append(("figures", f"{', '.join(figures)} (in validation, as the training ended)"))
    if said.synthetic:
        facts.append(("warning", "trained on drawn images: its figures say nothing about real ones"))
    if not said.exact:
        facts.append(("warning", f"predictions may differ from validation: {visible(said.caveat)}"))
    return facts


def _copied(folder: Path, out: Path) -> Path:
    """The two files of the bundle in the new folder `out`, which is there whole or not at all."""
    from visionkit.inference.bundle_files import DESCRIPTION_FILE, WEIGHTS_FILE

    beside = out.with_name(f".{out.name}.{os.getpid()}.part")
    try:
        beside.mkdir(parents=True)
        for name in (WEIGHTS_FILE, DESCRIPTION_FILE):
            shutil.copyfile(folder / name, beside / name)
        beside.rename(out)
    except OSError as error:
        shutil.rmtree(beside, ignore_errors=True)
        raise cannot_write(f"--out {out}", error) from error
    return out
