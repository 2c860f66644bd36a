"""`visionkit evaluate RUN`: how good a trained model is on labelled images, with intervals."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer
from typer.core import TyperCommand

from visionkit.cli.common_options import BatchOption, DeviceOption, SettingsOption
from visionkit.cli.completion import complete_runs
from visionkit.errors import UsageError
from visionkit.visible import visible

if TYPE_CHECKING:
    from visionkit.evaluation.bootstrap import Figure
    from visionkit.evaluation.evaluating import Evaluation
    from visionkit.evaluation.fitting import Calibration, Tuning
    from visionkit.evaluation.scores import ClassTable
    from visionkit.runs import Run

HELP = (
    "Evaluate a trained model on labelled images, with 95 % intervals.\n\n"
    "By default on the run's validation images. Figures, tables and plots go into a new folder below "
    "evaluation/ in the run folder. --calibrate, --tune-thresholds and --decision change how the model's "
    "bundle answers from then on; what they fit is judged on a half of the images that it was not fitted on."
)
VIEWS = ("auto", "flips", "dihedral", "crops", "scales")
MOST_CLASSES = 40
"""With more, the table of the classes is left to per_class.csv."""


class EvaluateCommand(TyperCommand):
    """Takes `--tta` without a value for `--tta auto`."""

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        following = [*args[1:], ""]
        return super().parse_args(
            ctx,
            [
                "--tta=auto" if arg == "--tta" and after not in VIEWS else arg
                for arg, after in zip(args, following)
            ],
        )


def evaluate(
    run: Annotated[
        str,
        typer.Argument(
            metavar="RUN",
            autocompletion=complete_runs,
            help="A run folder, a run's name, 'last', or an .onnx file in a run folder, whose figures are "
            "only printed.",
        ),
    ],
    on: Annotated[
        Literal["valid", "test", "train"] | None,
        typer.Option(
            help="Which part of the run's own data; valid by default.",
            rich_help_panel="Images",
            show_default=False,
        ),
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER|SOURCE",
            help="Other labelled images, which all count: a folder in the layout of the run's recipe, an "
            "address, or a source's name.",
            rich_help_panel="Images",
            show_default=False,
        ),
    ] = None,
    tta: Annotated[
        Literal["auto", "flips", "dihedral", "crops", "scales"] | None,
        typer.Option(
            metavar="[auto|flips|dihedral|crops|scales]",
            help="Besides, the mean over several views of each image; auto, or nothing, takes those that the "
            "recipe's augmentation calls for.",
            rich_help_panel="Decisions",
            show_default=False,
        ),
    ] = None,
    tune_thresholds: Annotated[
        bool,
        typer.Option(
            "--tune-thresholds",
            help="Tags: fit one threshold for all, and one for each; the bundle gets the better.",
            rich_help_panel="Decisions",
        ),
    ] = False,
    decision: Annotated[
        Literal["threshold", "expected-f2"] | None,
        typer.Option(
            help="Tags: choose those above their thresholds, or the set with the greatest expected F2.",
            rich_help_panel="Decisions",
            show_default=False,
        ),
    ] = None,
    calibrate: Annotated[
        bool,
        typer.Option(
            "--calibrate",
            help="Labels and tags: fit a temperature, so that probabilities are what they say.",
            rich_help_panel="Decisions",
        ),
    ] = False,
    within: Annotated[
        str,
        typer.Option(
            metavar="PIXELS,…", help="Points: distances to count within.", rich_help_panel="Decisions"
        ),
    ] = "5,10,20",
    save: Annotated[
        bool,
        typer.Option(
            "--save/--no-save",
            help="Write the folder, and what is fitted or decided into the bundle; or only print.",
            rich_help_panel="Output",
        ),
    ] = True,
    json_output: Annotated[
        bool, typer.Option("--json", help="Print everything as JSON.", rich_help_panel="Output")
    ] = False,
    bs: BatchOption = 32,
    device: DeviceOption = "auto",
    workers: Annotated[
        str,
        typer.Option(
            metavar="auto|NUMBER",
            help="Threads that read images; 0 reads them in between.",
            rich_help_panel="Machine",
        ),
    ] = "auto",
    settings: SettingsOption = None,
) -> None:
    """Evaluate a trained model on labelled images; see `HELP`."""
    from visionkit.cli.progress import terminal_progress
    from visionkit.runs import find_run
    from visionkit.settings_file import SettingsFile

    file = SettingsFile.read(settings)
    exported = Path(run).expanduser() if run.endswith(".onnx") else None
    found = find_run(run, file.paths().runs) if exported is None else _run_of(exported)
    from visionkit.evaluation.evaluating import Request, check_request
    from visionkit.evaluation.evaluating import evaluate as evaluated
    from visionkit.evaluation.parts import labelled_part
    from visionkit.evaluation.recording import evaluation_json, save_evaluation
    from visionkit.inference.predictor import load
    from visionkit.training.hardware import resolve_workers, shared_cores

    distances, threads = _distances(within), _workers(workers)
    request = Request(tta, tune_thresholds, decision, calibrate, distances, bs)
    if exported is not None and (request.fits or decision is not None):
        raise UsageError(
            "an exported file cannot be changed: fit on the run, and export it again. Leave --calibrate, "
            "--tune-thresholds and --decision out."
        )
    predictor = load(found if exported is None else exported, device)
    check_request(predictor.task, None if data is not None else on or "valid", request)
    with terminal_progress(stderr=True) as progress:
        part = labelled_part(found, on, data, file.store(progress))
        request = Request(
            tta,
            tune_thresholds,
            decision,
            calibrate,
            distances,
            bs,
            resolve_workers(threads, predictor.device),
        )
        with shared_cores(predictor.device, request.threads):
            evaluation = evaluated(predictor, part, request, progress)
    save = save and exported is None  # the figures are not those of the run's own model
    folder = save_evaluation(found, evaluation, predictor) if save else None
    if json_output:
        everything = evaluation_json(found, evaluation, stored=save)
        saved = {"evaluation": str(folder) if folder is not None else None}
        typer.echo(json.dumps({**saved, **everything}, indent=2))
        return
    print_evaluation(evaluation, folder)


def _run_of(exported: Path) -> Run:
    """The run whose folder the file lies in, which tells recipe, data and split."""
    from visionkit.runs import RUN_FILE, Run

    if not exported.is_file():
        raise UsageError(f"{exported}: there is no such file.")
    for folder in exported.resolve().parents:
        if (folder / RUN_FILE).is_file():
            return Run.read(folder)
    raise UsageError(
        f"{exported}: lies in no run folder. Put it into that of its run, which tells recipe, data and split."
    )


def _distances(text: str) -> tuple[float, ...]:
    try:
        distances = tuple(float(part) for part in text.replace(",", " ").split())
    except ValueError:
        distances = ()
    if not distances or not all(math.isfinite(each) and each > 0 for each in distances):
        raise UsageError(f"--within {text}: give distances in pixels, such as 5,10,20.")
    return distances


def _workers(text: str) -> int | Literal["auto"]:
    if text == "auto":
        return "auto"
    if not text.isdecimal():
        raise UsageError(f"--workers {text}: give auto, or a number of threads.")
    return int(text)


def print_evaluation(evaluation: Evaluation, folder: Path | None) -> None:
    """Figures with intervals, the classes where they are few, what was fitted, and where all of it is."""
    part, said = evaluation.part, evaluation.description
    if said.synthetic or part.dataset.synthetic:
        typer.echo("SYNTHETIC sample data, drawn by visionkit: the results say nothing about real images.")
    height, width = said.input_size
    typer.echo(visible(f"evaluated  {part.name}: {len(part.places):,} images of {part.dataset.path}"))
    typer.echo(f"network    {said.network.arch}, images of {width}x{height} px{_decides(evaluation)}")
    with_tta = evaluation.tta_scores.figures if evaluation.tta_scores is not None else {}
    heads = [f"with {evaluation.tta}", "95 % interval"] if with_tta else []
    rows = [
        [name, *_cells(figure), *(_cells(with_tta[name]) if with_tta else [])]
        for name, figure in evaluation.scores.figures.items()
    ]
    _print_table(["figure", "value", "95 % interval", *heads], rows)
    if len(evaluation.scores.table.names) <= MOST_CLASSES:
        _print_classes(evaluation.scores.table)
    if evaluation.calibration is not None:
        _print_calibration(evaluation.calibration)
    if evaluation.tuning is not None:
        _print_tuning(evaluation.tuning)
    _print_changes(evaluation, folder)


def _decides(evaluation: Evaluation) -> str:
    """What turns outputs into answers, as the bundle has it before this evaluation changes it."""
    said = evaluation.description
    parts = [] if said.temperature is None else [f"temperature {said.temperature:.3f}"]
    if said.task == "multi-label":
        parts.append(
            "greatest expected F2" if said.decision == "expected-f2" else _thresholds(said.thresholds)
        )
    return "".join(f", {part}" for part in parts)


def _thresholds(thresholds: float | Sequence[float] | None) -> str:
    if isinstance(thresholds, Sequence):
        return f"a threshold for each tag, {min(thresholds):.3f} to {max(thresholds):.3f}"
    return f"threshold {0.5 if thresholds is None else thresholds:.3f}"


def _cells(figure: Figure, place: int | None = None) -> list[str]:
    value, low, high = (
        float(each if place is None else each[place]) for each in (figure.value, figure.low, figure.high)
    )
    if math.isnan(value):
        return ["", ""]
    digits = 4 if abs(value) < 10 else 2
    return [f"{value:.{digits}f}", f"{low:.{digits}f} to {high:.{digits}f}"]


def _print_classes(table: ClassTable) -> None:
    rows = []
    for place, name in enumerate(table.names):
        shown = [_cells(figure, place) for figure in table.columns.values()]
        counts = [f"{values[place]:,}" for values in table.counts.values()]
        rows.append([name, *counts, *(value for value, _ in shown)])
    _print_table([table.kind, *table.counts, *table.columns], rows)


def _print_calibration(found: Calibration) -> None:
    typer.echo(
        f"calibrate  temperature {found.of_half:.3f}, fitted on one half; on the other ({found.images:,} "
        "images):"
    )
    rows = [[name, *_cells(found.before[name]), *_cells(found.after[name])] for name in found.before]
    _print_table(["figure", "before", "95 % interval", "after", "95 % interval"], rows)


def _print_tuning(found: Tuning) -> None:
    typer.echo(f"thresholds fitted on one half; F2 on the other ({found.images:,} images):")
    names = {
        "present": "as the model decides by its thresholds now",
        "common": "one threshold for all tags",
        "per_tag": "a threshold for each tag",
        "expected_f2": "greatest expected F2",
    }
    rows = [[names[name], *_cells(figure)] for name, figure in found.f2.items()]
    _print_table(["decision", "F2", "95 % interval"], rows)


def _print_changes(evaluation: Evaluation, folder: Path | None) -> None:
    changes: Mapping[str, Any] = evaluation.changes
    told = []
    if "temperature" in changes:
        told.append(f"temperature {changes['temperature']:.3f}")
    if "thresholds" in changes:
        told.append(_thresholds(changes["thresholds"]))
    if "decision" in changes:
        told.append(f"decision {changes['decision']}")
    if told:
        where = (
            "stored in model.json, fitted on all images" if folder is not None else "not stored (--no-save)"
        )
        typer.echo(f"bundle     {', '.join(told)}: {where}")
        typer.echo(_remarks(evaluation), nl=False)
    if folder is not None:
        typer.echo(f"           {folder}")


def _remarks(evaluation: Evaluation) -> str:
    """What to know of what the bundle gets, a line each."""
    changes, lines = evaluation.changes, []
    decision = changes.get("decision", evaluation.description.decision)
    if evaluation.tuning is not None and evaluation.tuning.chosen == "present":
        lines.append("The thresholds stay: neither of the others did better on the other half.")
    if evaluation.tuning is not None and decision == "expected-f2":
        lines.append("Thresholds play no part while the decision is expected-f2.")
    if "temperature" in changes and "thresholds" in changes and evaluation.tuning is None:
        lines.append("The thresholds moved with the temperature, so that tags stay as they were.")
    if evaluation.part.name == "test" and (evaluation.calibration or evaluation.tuning):
        lines.append("Fitted on the test images: figures on them say less from now on.")
    return "".join(f"           {line}\n" for line in lines)


def _print_table(heads: list[str], rows: list[list[str]]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from visionkit.cli.tables import wide_console

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    for place, head in enumerate(heads):
        table.add_column(head, justify="right" if place else "left", overflow="fold", no_wrap=bool(place))
    for row in rows:
        table.add_row(*map(escape, row))
    wide_console().print(table)
