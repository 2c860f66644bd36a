"""`--keep best` and `--patience`, with headline figures that the tests make up."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import FAST, Cli
from fastai.learner import Learner, Metric

from visionkit.registry import get_recipe
from visionkit.runs import Run
from visionkit.settings import TrainSettings
from visionkit.training import recording
from visionkit.training.keeping import EarlyStop, KeepBest
from visionkit.training.restore import restore

pytestmark = pytest.mark.usefixtures("unpainted")

NETWORK = FAST[: FAST.index("--freeze-epochs")]


class Scripted(Metric):
    """Figures that are given for each epoch that is validated, whatever the network does."""

    def __init__(self, name: str, figures: Sequence[float]) -> None:
        self.called, self.figures, self.validated = name, list(figures), 0

    def reset(self) -> None:
        self.seen = 0

    def accumulate(self, learn: Learner) -> None:
        if not self.seen:
            self.validated += 1
        self.seen += 1

    @property
    def value(self) -> float:
        return self.figures[min(self.validated, len(self.figures)) - 1]

    @property
    def name(self) -> str:
        return self.called


def scripted(monkeypatch: pytest.MonkeyPatch, task: str, name: str, figures: Sequence[float]) -> None:
    metric = Scripted(name, figures)
    monkeypatch.setattr(f"visionkit.tasks.{task}.metrics", lambda *_: [metric])


class ByEpoch(Scripted):
    """Figures by the number of the epoch, whenever that is validated."""

    def accumulate(self, learn: Learner) -> None:
        self.epoch = getattr(learn, "epoch", 0)

    @property
    def value(self) -> float:
        return self.figures[self.epoch]


def rows(run: str) -> list[dict[str, str]]:
    with open(f"{run}/history.csv", newline="") as file:
        return list(csv.DictReader(file))


def validated(run: str) -> float:
    """The loss of the model that a run left."""
    learn, _ = restore(Run.read(Path(run)))
    with learn.no_bar(), learn.no_logging():
        return float(learn.validate()[0])


def train(cli: Cli, recipe: str, data: Path, *options: object, frozen: int = 0) -> Any:
    sizes = ["--size", 32, "--freeze-epochs", frozen]
    return cli(recipe, "--data", data, *NETWORK, *sizes, *options, "--out", "run")


@pytest.mark.parametrize("ema", [0, 0.8])
def test_the_best_epoch_is_left(cli: Cli, pets: Path, ema: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights, figures and bundle are those of the second of three epochs."""
    scripted(monkeypatch, "single_label.SingleLabel", "accuracy", [0.2, 0.9, 0.9])
    result = train(cli, "pets", pets, "--epochs", 3, "--keep", "best", "--ema", ema, "--lr", 0.01)
    assert result.exit_code == 0, result.output
    info = json.loads(Path("run/run.json").read_text())
    assert info["best_epoch"] == {"stage": 1, "epoch": 2} and info["metrics"] == {"accuracy": 0.9}
    assert json.loads(Path("run/model/model.json").read_text())["metrics"] == {"accuracy": 0.9}
    losses = [float(row["valid_loss"]) for row in rows("run")]
    assert validated("run") == pytest.approx(losses[1], abs=2e-5) and abs(losses[1] - losses[2]) > 1e-3


@pytest.mark.slow
def test_lower_may_be_better(cli: Cli, heads: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, "keypoints.Keypoints", "pixel_error", [30.0, float("nan"), 12.0, 40.0])
    options = ["--epochs", 4, "--keep", "best", "--valid-person", "13"]
    result = train(cli, "headpose", heads, *options)
    assert result.exit_code == 0, result.output
    assert json.loads(Path("run/run.json").read_text())["best_epoch"] == {"stage": 1, "epoch": 3}


@pytest.mark.slow
def test_only_the_last_size_counts(cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(monkeypatch, "single_label.SingleLabel", "accuracy", [0.99, 0.3, 0.5, 0.4])
    result = train(cli, "pets", pets, "--then", 40, "--epochs", 2, "--keep", "best")
    assert result.exit_code == 0, result.output
    info = json.loads(Path("run/run.json").read_text())
    assert info["best_epoch"] == {"stage": 2, "epoch": 1} and info["metrics"]["accuracy"] == 0.5


def test_without_keeping_nothing_is_another(cli: Cli, pets: Path) -> None:
    assert train(cli, "pets", pets, "--epochs", 2).exit_code == 0
    info = json.loads(Path("run/run.json").read_text())
    assert "best_epoch" not in info
    assert validated("run") == pytest.approx(float(rows("run")[1]["valid_loss"]), abs=2e-5)


def test_patience(cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two epochs without a better figure end a stage, and the next one begins anew."""
    scripted(monkeypatch, "single_label.SingleLabel", "accuracy", [0.5, 0.6, 0.6, 0.1, 0.1, 0.2, 0.1, 0.3])
    options = ["--then", 40, "--epochs", "6,4", "--patience", 2, "--keep", "best"]
    result = train(cli, "pets", pets, *options)
    assert result.exit_code == 0, result.output
    epochs = [(row["stage"], row["epoch"]) for row in rows("run")]
    assert epochs == [*(("1", str(epoch)) for epoch in range(1, 5)), *(("2", str(e)) for e in range(1, 5))]
    text = " ".join(result.output.split())
    assert "stage 1: ends after epoch 4, no better accuracy since epoch 2 (0.6000)" in text
    assert "stage 2: ends" not in text, "it was its last epoch"
    info = json.loads(Path("run/run.json").read_text())
    assert info["status"] == "done" and info["best_epoch"] == {"stage": 2, "epoch": 4}


@pytest.mark.slow
def test_frozen_stages_are_trained_out(
    cli: Cli, pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torchvision

    weights = tmp_path / "body.pth"
    torch.save(torchvision.models.squeezenet1_1().state_dict(), weights)
    scripted(monkeypatch, "single_label.SingleLabel", "accuracy", [0.9, 0.1, 0.1, 0.5, 0.4, 0.4])
    options = ["--pretrained", "--weights", weights, "--epochs", 3, "--patience", 1]
    result = train(cli, "pets", pets, *options, "--keep", "best", frozen=3)
    assert result.exit_code == 0, result.output
    assert [row["stage"] for row in rows("run")] == ["1", "1", "1", "2", "2"]
    assert json.loads(Path("run/run.json").read_text())["best_epoch"] == {"stage": 1, "epoch": 1}


def test_states_go_through_json(pets: Path) -> None:
    """What a resume is given: figures, epochs and kept weights come back."""
    recipe = get_recipe("pets")
    options = {"size": 32, "bs": 4, "workers": 0, "arch": "squeezenet1_1", "pretrained": False}
    learn = recipe.learner(recipe.dataloaders(pets, **options, precision="fp32"))

    class Recorded:
        stage = None

    from visionkit.tasks import get_task

    task: Any = get_task("single-label")
    keep, stop = KeepBest(task, Recorded()), EarlyStop(task, Recorded(), 2)  # type: ignore[arg-type]
    learn.add_cbs([keep, stop])
    for callback in (keep, stop):
        tensors, values = callback.checkpoint_state()
        assert tensors == {} and json.loads(json.dumps(values)) == values
        callback.go_on_from(tensors, values)
    values = {"kept": [2, 3], "size": 32, "figure": 0.1 + 0.2}
    weights = {name: value + 1 for name, value in learn.model.state_dict().items()}
    keep.go_on_from(weights, json.loads(json.dumps(values)))
    tensors, again = keep.checkpoint_state()
    assert again == values and keep.finish() == (2, 3)
    for name, value in learn.model.state_dict().items():
        assert torch.equal(value, weights[name])
    with pytest.raises(ValueError, match="patience"):
        TrainSettings(patience=-1)


@pytest.mark.slow
def test_a_resume_knows_what_was_best(cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Broken off in the fourth epoch, the run ends as if it had not been: best weights, waiting, parts."""
    figures = [0.2, 0.9, 0.3, 0.4, 0.5, 0.1]
    options = ["--epochs", 6, "--keep", "best", "--patience", 3, "--ema", 0.5, "--on-nan", "skip"]
    options += ["--checkpoint-minutes", 1e-9]
    metric = ByEpoch("accuracy", figures)
    monkeypatch.setattr("visionkit.tasks.single_label.SingleLabel.metrics", lambda *_: [metric])
    result = train(cli, "pets", pets, *options)
    assert result.exit_code == 0, result.output
    Path("run").rename("straight")
    monkeypatch.setattr(recording, "TELL_EVERY", 0.0)
    original, batches = recording.Recording._tell, [0]

    def tell(self: recording.Recording) -> None:
        batches[0] += 1
        if batches[0] == 17:
            raise KeyboardInterrupt
        original(self)

    monkeypatch.setattr(recording.Recording, "_tell", tell)
    result = train(cli, "pets", pets, *options)
    assert result.exit_code != 0 and len(rows("run")) == 3
    result = cli("resume", "run")
    assert result.exit_code == 0, result.output
    assert "ends after epoch 5, no better accuracy since epoch 2 (0.9000)" in " ".join(result.output.split())
    ended = [json.loads(Path(run, "run.json").read_text()) for run in ("straight", "run")]
    for info in ended:
        assert info["best_epoch"] == {"stage": 1, "epoch": 2} and info["metrics"] == {"accuracy": 0.9}
    weights = [Path(run, "model/model.safetensors").read_bytes() for run in ("straight", "run")]
    assert weights[0] == weights[1]
    assert Path("straight/batches.csv").read_text() == Path("run/batches.csv").read_text()
