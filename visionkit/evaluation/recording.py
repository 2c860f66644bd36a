"""What an evaluation leaves: a new folder in the run folder, and entries in run.json and model.json."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any

from visionkit.atomic import write_atomically
from visionkit.csv_rows import csv_text
from visionkit.disk_faults import cannot_write
from visionkit.errors import VisionkitError
from visionkit.evaluation.bootstrap import DRAWS, LEVEL, SEED
from visionkit.runs import Run
from visionkit.versions import versions

if TYPE_CHECKING:
    from visionkit.evaluation.evaluating import Evaluation
    from visionkit.inference.predictor import Predictor

EVALUATIONS = "evaluation"
METRICS_FILE, CLASS_FILE, CONFUSION_FILE = "metrics.json", "per_class.csv", "confusion.csv"


def save_evaluation(run: Run, evaluation: Evaluation, predictor: Predictor) -> Path:
    """Write `evaluation/NAME` in the folder of `run`, its summary, and what the bundle gets.

    Returns the folder, which is new, and whole or not there. The bundle is written only where something was
    fitted or decided.

    Raises:
        VisionkitError: the run folder cannot be written to, or its model was changed meanwhile.
    """
    from visionkit.inference.bundle import write_description
    from visionkit.inference.bundle_files import read_description

    if evaluation.changes and read_description(predictor.folder) != evaluation.description:
        raise VisionkitError(
            f"{predictor.folder}: was changed meanwhile. Evaluate again; nothing was touched."
        )
    try:
        with _prepared(run, evaluation) as made:
            if evaluation.changes:
                write_description(predictor.folder, evaluation.description.replaced(**evaluation.changes))
            folder = _renamed(made, evaluation.part.name)
        _note_in_run(run, folder.name, evaluation)
    except OSError as error:
        raise cannot_write(error.filename or run.path, error) from error
    return folder


def evaluation_json(run: Run, evaluation: Evaluation, stored: bool) -> dict[str, Any]:
    """Everything but plots and tables, as metrics.json has it.

    Args:
        run: that was evaluated.
        evaluation: what was found.
        stored: whether the bundle gets what was fitted or decided.
    """
    said, part = evaluation.description, evaluation.part
    found: dict[str, Any] = {
        "run": run.name,
        "task": said.task,
        "on": part.name,
        "folder": str(part.dataset.path.resolve()),
        "own_data": part.own,
        "images": len(part.places),
        "synthetic": said.synthetic or part.dataset.synthetic,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "input_size": list(said.input_size),
        "temperature": said.temperature,
        "thresholds": said.thresholds,
        "decision": said.decision if said.task == "multi-label" else None,
        "intervals": {"level": LEVEL, "method": "percentile bootstrap", "draws": DRAWS, "seed": SEED},
        "figures": evaluation.scores.as_json(),
    }
    if evaluation.tta_scores is not None:
        found["tta"] = {"views": evaluation.tta, "figures": evaluation.tta_scores.as_json()}
    if evaluation.calibration is not None:
        found["calibration"] = evaluation.calibration.as_json()
    if evaluation.tuning is not None:
        names = evaluation.description.vocab
        found["tuning"] = {
            **evaluation.tuning.as_json(),
            "per_tag": dict(zip(names, evaluation.tuning.per_tag)),
        }
    if evaluation.changes:
        found["bundle"] = {"stored": stored, **evaluation.changes}
    return {**found, "per_class": list(evaluation.scores.table.rows()), "versions": versions()}


@contextmanager
def _prepared(run: Run, evaluation: Evaluation) -> Iterator[Path]:
    """The folder with all files in it, under a name of its own, which it loses meanwhile or is deleted."""
    from visionkit.reporting.evaluation import evaluation_plots
    from visionkit.reporting.style import save_figure

    made = run.path / EVALUATIONS / f".{evaluation.part.name}.{os.getpid()}.part"
    made.mkdir(parents=True)
    try:
        figures = evaluation_json(run, evaluation, stored=True)
        write_atomically(made / METRICS_FILE, json.dumps(figures, indent=2) + "\n")
        rows = list(evaluation.scores.table.rows())
        write_atomically(made / CLASS_FILE, csv_text([list(rows[0]), *(list(row.values()) for row in rows)]))
        if evaluation.confusion is not None:
            names = evaluation.description.vocab
            table = [[name, *counts.tolist()] for name, counts in zip(names, evaluation.confusion)]
            write_atomically(made / CONFUSION_FILE, csv_text([["truth", *names], *table]))
        for name, figure in evaluation_plots(run.info["recipe"], evaluation).items():
            save_figure(figure, made / f"{name}.png", figures["synthetic"])
        yield made
    finally:
        shutil.rmtree(made, ignore_errors=True)


def _renamed(made: Path, name: str) -> Path:
    """Give the folder the first name that is free: valid, valid-2, valid-3 …"""
    number = 1
    while True:
        folder = made.parent / (name if number == 1 else f"{name}-{number}")
        if not os.path.lexists(folder):
            try:
                made.rename(folder)
            except OSError:  # another evaluation took the name meanwhile
                if not os.path.lexists(folder):
                    raise
            else:
                return folder
        number += 1


def _note_in_run(run: Run, name: str, evaluation: Evaluation) -> None:
    """Add a summary to `evaluations` of run.json, which is read again: something else may have changed it."""
    current = Run.read(run.path)
    entry: dict[str, Any] = {
        "on": evaluation.part.name,
        "own_data": evaluation.part.own,
        "images": len(evaluation.part.places),
        "figures": evaluation.scores.as_json(),
    }
    if evaluation.tta_scores is not None:
        entry["tta"] = {"views": evaluation.tta, "figures": evaluation.tta_scores.as_json()}
    if evaluation.changes:
        entry["bundle"] = evaluation.changes
    current.update(evaluations={**current.info.get("evaluations", {}), name: entry})
    run.info.update(current.info)
