"""Training a run again: with its settings, split and data, after a look at what has changed since."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from visionkit.data.dataset import Dataset
from visionkit.data.skipping import SKIP_FILE
from visionkit.data.splits import SPLIT_FILE, split_text
from visionkit.devices import resolve_device
from visionkit.distributed.started import started_together
from visionkit.errors import VisionkitError
from visionkit.recipe import Recipe
from visionkit.recorded_recipe import recorded_recipe
from visionkit.runs import RUN_FILE, Run
from visionkit.settings import TrainSettings
from visionkit.settings_file import validated
from visionkit.sources.base import Store
from visionkit.sources.locate import draw_sample, find_folder
from visionkit.training.class_weights import CLASS_WEIGHTS_FILE
from visionkit.training.differences import (
    Difference,
    Record,
    machine_differences,
    usable_device,
    usable_precision,
    version_differences,
)
from visionkit.training.outcome import Outcome, compare_runs, read_epochs
from visionkit.training.progress import Reporter
from visionkit.training.record import contents_fingerprint, file_digest, recipe_digest
from visionkit.training.train import train

OWN_COPIES = {"skip": SKIP_FILE, "split": SPLIT_FILE, "class_weights": CLASS_WEIGHTS_FILE}
"""Settings that may name a file, and what the run folder keeps of it."""


@dataclass(frozen=True)
class Plan:
    """How a run is trained again, and what is not as it was.

    Args:
        run: the finished run.
        recipe: its recipe.
        settings: its settings, with what was "auto" of the machine as it came out then.
        folder: where its data set is now.
        threads: that torch computed with; None where run.json does not tell.
        differences: between then and now, what changes results for certain first.
        batch_sizes: of each stage, where the run took the largest that fitted.
    """

    run: Run
    recipe: Recipe
    settings: TrainSettings
    folder: Path
    threads: int | None
    differences: tuple[Difference, ...]
    batch_sizes: tuple[int, ...] = ()

    @property
    def certain(self) -> list[Difference]:
        """The differences with which the results cannot be the same."""
        return [each for each in self.differences if each.effect == "other results"]


def plan_reproduction(
    run: Run, data: Path | str | None = None, store: Store | None = None, finished: bool = True
) -> Plan:
    """Compare `run` with what is here now; nothing is trained.

    Args:
        run: a finished run, or any other where `finished` is not set.
        data: where its data set is now, if elsewhere: a folder, or the name of a source.
        store: a sample that is gone is drawn there again.
        finished: whether the run has to have final figures.

    Raises:
        VisionkitError: the run is not finished, its run.json is damaged, or recipe, data or weights are gone.
    """
    store = store or Store()
    record = Record.of(run, finished)
    read_epochs(run)
    recipe = _recipe(run, record)
    settings = _settings(run, record, recipe)
    folder = _folder(record, recipe, settings, data, store)
    device = resolve_device(usable_device(record))
    settings, of_files = _with_files(run, record, settings, folder)
    settings, of_data = _with_split(run, record, recipe, settings, folder, store)
    differences = [
        *_recipe_differences(record, recipe),
        *of_data,
        *of_files,
        *version_differences(record, settings.arch),
        *machine_differences(record, device),
    ]
    own = str(device) if started_together() == 1 else device.type
    settings = settings.replaced(device=own, precision=usable_precision(record, device))
    if record.machine is not None:
        settings = settings.replaced(workers=record.machine.workers)
    if finished and (processes := int(run.info.get("processes", 1))) > 1:
        settings = settings.replaced(gpus=1)
        differences.append(Difference("processes", str(processes), "1", "perhaps other digits"))
    return Plan(
        run,
        recipe,
        settings,
        folder,
        record.machine.threads if record.machine is not None and device.type == "cpu" else None,
        tuple(sorted(differences, key=lambda each: each.effect != "other results")),
        record.batch_sizes,
    )


def reproduce(
    plan: Plan,
    *,
    out: Path | str | None = None,
    runs_root: Path | str = "runs",
    store: Store | None = None,
    reporter: Reporter | None = None,
    force: bool = False,
) -> tuple[Run, Outcome]:
    """Train the run of `plan` again and compare; the new run.json says which run it reproduces.

    Args:
        plan: from `plan_reproduction`.
        out: the new run folder; without it a new one in `runs_root`.
        runs_root: the folder of run folders.
        store: for what is remembered of images.
        reporter: told about the progress; plain lines where None.
        force: train although the results cannot be the same.

    Returns:
        The new run, and how its figures compare.

    Raises:
        VisionkitError: something differs with which the results cannot be the same, and `force` is not set;
            besides, what `train` raises.
    """
    if plan.certain and not force:
        what = ", ".join(dict.fromkeys(each.what for each in plan.certain))
        raise VisionkitError(
            f"{plan.run.name} cannot be reproduced: not as it was: {what}. --force trains all the same."
        )
    run = train(
        plan.recipe,
        plan.settings,
        data=plan.folder,
        out=out,
        runs_root=runs_root,
        store=store,
        reporter=reporter,
        threads=plan.threads,
        batch_sizes=plan.batch_sizes,
        notes={"reproduces": plan.run.name},
    )
    outcome = compare_runs(plan.run, run)
    run.update(
        reproduction={
            **outcome.as_json(),
            "of": str(plan.run.path.resolve()),
            "differences": [asdict(each) for each in plan.differences],
        }
    )
    return run, outcome


def _recipe(run: Run, record: Record) -> Recipe:
    if record.recipe_file is not None and not Path(record.recipe_file).is_file():
        raise VisionkitError(
            f"{record.recipe_file}: the recipe file that {record.name} was trained with is no longer there. "
            "Put it back."
        )
    return recorded_recipe(run)


def _recipe_differences(record: Record, recipe: Recipe) -> Iterator[Difference]:
    now = recipe_digest(recipe)
    if record.recipe_sha256 is not None and record.recipe_sha256 != now:
        yield Difference("recipe", _short(record.recipe_sha256), _short(now), "other results")


def _settings(run: Run, record: Record, recipe: Recipe) -> TrainSettings:
    where = f"{run.path / RUN_FILE}, settings"
    values = {name: (value, f"{where}, {name}") for name, value in record.settings.items()}
    settings = validated(recipe.settings, values)
    settings.check()
    return settings


def _folder(
    record: Record, recipe: Recipe, settings: TrainSettings, data: Path | str | None, store: Store
) -> Path:
    """Where the run's data set is: what the user says, else where it was; a sample can be drawn again."""
    if data is not None:
        return find_folder(data, store).folder
    if record.data.path.is_dir():
        return record.data.path
    if record.synthetic and recipe.sample is not None:
        return draw_sample(recipe, settings.seed, store.root)
    raise VisionkitError(
        f"{record.data.path}: the data set that {record.name} was trained on is no longer there. Put it "
        "back, or say with --data where it is."
    )


def _with_files(
    run: Run, record: Record, settings: TrainSettings, folder: Path
) -> tuple[TrainSettings, list[Difference]]:
    """The settings with the places where the files that they name are now, and which files differ.

    What the run folder has a copy of is taken from there if it differs.
    """
    changes: dict[str, Any] = {}
    differences = []
    for name, then in record.files.items():
        if name not in type(settings).model_fields:
            continue
        now = _moved(then.path, record.data.path, folder)
        digest = file_digest(now)
        own = OWN_COPIES.get(name)
        if digest is not None and digest == then.sha256:
            changes[name] = str(now)
            continue
        words = "gone" if digest is None else _short(digest)
        what = f"--{name.replace('_', '-')} {then.path}"
        if own is not None:
            changes |= _own_copy(run, name)
            differences.append(
                Difference(what, _short(then.sha256), f"{words}; the run's copy is taken", "none")
            )
        elif digest is None:
            raise VisionkitError(
                f"{then.path}: the file that {record.name} was trained with (--{name.replace('_', '-')}) is "
                "no longer there. Put it back."
            )
        else:
            changes[name] = str(now)
            differences.append(Difference(what, _short(then.sha256), words, "other results"))
    return settings.replaced(**changes), differences


def _own_copy(run: Run, name: str) -> dict[str, Any]:
    """The settings that name what the run folder has instead of the file of the setting `name`."""
    own = run.path / OWN_COPIES[name]
    if name == "split":
        return {"split": str(own), "group_by": "", "folds": None, "fold": 1}
    if name == "skip" and not own.is_file():
        return {"skip": None}  # nothing was left out
    return {name: own}


def _with_split(
    run: Run, record: Record, recipe: Recipe, settings: TrainSettings, folder: Path, store: Store
) -> tuple[TrainSettings, list[Difference]]:
    """The settings with the run's own split, if they would now split otherwise; and what of the data
    differs.
    """
    dataset = Dataset.find(recipe, settings, folder)
    then = record.data
    fingerprint = dataset.fingerprint()
    if fingerprint != then.fingerprint:
        old = f"{then.fingerprint}, {then.train + then.valid:,} images"
        new = f"{fingerprint}, {len(dataset.train) + len(dataset.valid):,} images"
        return settings, [Difference("data", old, new, "other results")]
    differences = []
    if then.contents is not None:
        contents = contents_fingerprint(dataset, store.memory, store.progress)
        if contents != then.contents:
            differences.append(Difference("contents of the data", then.contents, contents, "other results"))
    own = run.path / SPLIT_FILE
    drawn = split_text(dataset.images, dataset.train, dataset.valid, folder)
    if own.is_file() and own.read_bytes() != drawn.encode():
        counts = f"{len(dataset.train):,} and {len(dataset.valid):,}"
        now = f"drawn otherwise, {counts}; the run's copy is taken"
        differences.append(Difference("split", f"{then.train:,} and {then.valid:,} images", now, "none"))
        settings = settings.replaced(**_own_copy(run, "split"))
    return settings, differences


def _moved(file: Path, then: Path, now: Path) -> Path:
    """Where `file` is if it lay in the data set, which has moved from `then` to `now`."""
    return now / file.relative_to(then) if file.is_relative_to(then) else file


def _short(digest: str | None) -> str:
    return digest[:16] if digest else "unreadable"
