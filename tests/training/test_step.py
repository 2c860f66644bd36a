"""What a training step computes on, and that no batch waits for the value of a tensor."""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import SIZES, Cli, train_fast
from fastai.callback.core import Callback
from fastai.callback.schedule import ParamScheduler
from fastai.learner import Learner
from fastai.metrics import F1ScoreMulti
from fastai.torch_core import TensorBase
from torch import Tensor, nn

from visionkit.registry import get_recipe
from visionkit.training import recording
from visionkit.training.recorder import DeviceRecorder
from visionkit.training.stages import Stage
from visionkit.training.waiting import Waiting

pytestmark = pytest.mark.usefixtures("unpainted")

OPTIONS = {"bs": 4, "workers": 0, "arch": "squeezenet1_1", "pretrained": False}
READS = ("item", "tolist", "numpy", "cpu", "__float__", "__int__", "__bool__", "__index__", "nonzero")
DATASETS = pytest.mark.parametrize("dataset", ["pets", "planet", "camvid"], indirect=True)


def built(dataset: tuple[str, Path], **settings: Any) -> Learner:
    name, folder = dataset
    recipe = get_recipe(name)
    options = {**OPTIONS, "size": int(SIZES[name]), "precision": "fp32", **settings}
    learn = recipe.learner(recipe.dataloaders(folder, **options))
    assert isinstance(learn, Learner)
    return learn


class Steps(Callback):
    """Runs `meanwhile` around every step: from the batch's arrival to all that callbacks do after it."""

    order = -90

    def __init__(self, meanwhile: Callable[[], Any]) -> None:
        self.meanwhile = meanwhile
        self.entered: Any = None
        self.count = 0

    def before_batch(self) -> None:
        if self.training:
            self.count += 1
            self.entered = self.meanwhile()
            self.entered.__enter__()


class Ends(Callback):
    order = 1000

    def after_batch(self) -> None:
        if self.training:
            self.around.entered.__exit__(None, None, None)

    def __init__(self, steps: Steps) -> None:
        self.around = steps


@contextmanager
def spied(monkeypatch: pytest.MonkeyPatch, seen: Counter[str]) -> Iterator[None]:
    """Counts how often the value of a tensor is asked for.

    Fastai's schedule does so with tensors of its own, which are on the CPU wherever the training is.
    """
    scheduled = ParamScheduler._update_val
    with monkeypatch.context() as patch:

        def schedule(self: ParamScheduler, share: float) -> None:
            before = dict(seen)
            scheduled(self, share)
            seen.clear()
            seen.update(before)

        patch.setattr(ParamScheduler, "_update_val", schedule)
        for name in READS:
            original = getattr(Tensor, name)

            def read(*args: Any, _original: Any = original, _name: str = name, **kwargs: Any) -> Any:
                seen[_name] += 1
                return _original(*args, **kwargs)

            patch.setattr(Tensor, name, read)
        yield


def fit(learn: Learner, callbacks: list[Callback], epochs: int = 1) -> None:
    with learn.no_bar(), learn.no_logging():
        learn.fit_one_cycle(epochs, 1e-3, cbs=callbacks)


class Quiet:
    """A reporter that keeps what it hears."""

    def __init__(self) -> None:
        self.batches: list[tuple[int, float]] = []
        self.epochs: list[Any] = []

    def epoch_started(self, stage: Stage, epoch: int, images: int) -> None: ...

    def batch_done(self, images: int, loss: float) -> None:
        self.batches.append((images, loss))

    def epoch_done(self, result: Any) -> None:
        self.epochs.append(result)


def test_the_spy_sees(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: Counter[str] = Counter()
    with spied(monkeypatch, seen):
        float(torch.ones(()))
        assert torch.ones(()).item() and torch.ones(()) > 0
    assert seen["__float__"] and seen["item"] and seen["__bool__"]


@DATASETS
@pytest.mark.parametrize(
    "options",
    [{}, {"precision": "bf16", "ema": 0.9}, {"mixup": 0.4}, {"loss": "focal", "class_weights": "auto"}],
    ids=["plain", "bf16-ema", "mixup", "focal-weights"],
)
def test_a_batch_reads_nothing(
    dataset: tuple[str, Path],
    options: dict[str, Any],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither network, loss, optimiser and callbacks nor the recording: the GPU works on, unasked."""
    if (dataset[0], next(iter(options), "")) in (("camvid", "mixup"), ("planet", "loss")):
        options = {"label_smoothing": 0.1}
    monkeypatch.setattr(recording, "TELL_EVERY", float("inf"))
    learn = built(dataset, **options)
    waiting, reporter = Waiting(), Quiet()
    kept = recording.Recording(tmp_path, reporter, waiting)  # type: ignore[arg-type]
    kept.stage = Stage(1, 32, False, 2, 0.001, 1)
    seen: Counter[str] = Counter()
    steps = Steps(lambda: spied(monkeypatch, seen))
    fit(learn, [steps, Ends(steps), waiting, kept], epochs=2)
    assert steps.count == len(kept.batches) > 2
    assert not seen, f"read in {steps.count} batches: {dict(seen)}"
    assert len(reporter.batches) == 2 and sum(images for images, _ in reporter.batches) == 4 * steps.count


@DATASETS
def test_no_tensor_class_takes_part(dataset: tuple[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    """Fastai's `TensorBase` is asked about no operation from the network to the optimiser."""
    learn = built(dataset, **({} if dataset[0] == "camvid" else {"mixup": 0.4}))
    inside, asked, types = [False], [], set()

    class Marks(Callback):
        order = 9.9  # the images are mixed

        def before_batch(self) -> None:
            inside[0] = True
            types.update(map(type, (*self.xb, *self.yb)))
            if hasattr(self.learn, "mix_up") and self.training:
                types.update(map(type, self.mix_up.yb1))

        def after_batch(self) -> None:
            inside[0] = False
            types.update((type(self.pred), type(self.loss)))

    original = TensorBase.__torch_function__.__func__

    def function(cls: type, func: Any, *args: Any, **kwargs: Any) -> Any:
        if inside[0]:
            asked.append(func)
        return original(cls, func, *args, **kwargs)

    monkeypatch.setattr(TensorBase, "__torch_function__", classmethod(function))
    fit(learn, [Marks()])
    assert types == {Tensor} and asked == []


@DATASETS
def test_channels_are_innermost(dataset: tuple[str, Path]) -> None:
    """In weights and images, in fp32 as well."""
    learn = built(dataset)
    formats = []

    class Looks(Callback):
        order = 11

        def before_batch(self) -> None:
            formats.append(self.xb[0].is_contiguous(memory_format=torch.channels_last))

    fit(learn, [Looks()])
    assert formats and all(formats)
    convolutions = [module for module in learn.model.modules() if isinstance(module, nn.Conv2d)]
    assert all(each.weight.is_contiguous(memory_format=torch.channels_last) for each in convolutions)


def test_an_error_leaves_nothing_switched_on(pets: Path) -> None:
    learn = built(("pets", pets), precision="bf16")

    def fails(*_: Any) -> Tensor:
        assert torch.is_autocast_enabled("cpu")
        raise KeyboardInterrupt

    learn.model.forward = fails
    with pytest.raises(KeyboardInterrupt):
        fit(learn, [])
    assert not torch.is_autocast_enabled("cpu")
    assert type(TensorBase(torch.ones(2)) + 1) is TensorBase


def test_what_fastai_shows_keeps_its_types(pets: Path) -> None:
    """Inputs that `get_preds` hands out can be decoded and shown."""
    learn = built(("pets", pets))
    with learn.no_bar():
        inputs, *_ = learn.get_preds(with_input=True)
        shown = learn.dls.decode_batch((inputs, learn.get_preds()[1]))
    assert type(inputs).__name__ == "TensorImage" and len(shown) == 4
    assert float(shown[0][0].min()) >= 0 and 1 < float(shown[0][0].max()) <= 255, "no longer normalised"


def test_figures_are_those_of_fastai(planet: Path) -> None:
    """Losses, smoothed losses and metrics, with fastai's own Recorder and without."""
    from fastai.learner import Recorder

    found = []
    for kind in (Recorder, DeviceRecorder):
        torch.manual_seed(0)
        learn = built(("planet", planet))
        learn.remove_cb(learn.recorder)
        learn.add_cb(kind())
        learn.metrics = [*learn.metrics, F1ScoreMulti()]
        torch.manual_seed(1)
        learn.dls.train.rng.seed(2)
        learn.dls.rng = learn.dls.train.rng
        fit(learn, [], epochs=2)
        found.append((torch.stack(list(learn.recorder.losses)), torch.tensor(learn.recorder.values)))
        assert learn.recorder.lrs and learn.recorder.metric_names[-2] == "f1_score"
    torch.testing.assert_close(found[0][0], found[1][0], rtol=0, atol=0)
    torch.testing.assert_close(found[0][1], found[1][1], rtol=0, atol=0)


@pytest.mark.slow
def test_the_wait_for_data(cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loader that is slower than the network shows in history.csv, run.json and the epoch's line."""
    from time import sleep

    from fastai.vision.core import PILImage

    original = PILImage.create.__func__

    def slow(cls: type, *args: Any, **kwargs: Any) -> Any:
        sleep(0.15)
        return original(cls, *args, **kwargs)

    assert train_fast(cli, "pets", pets, "--out", "quick").exit_code == 0
    monkeypatch.setattr(PILImage, "create", classmethod(slow))
    result = train_fast(cli, "pets", pets, "--out", "slow", "--cache", "off")
    assert result.exit_code == 0, result.output
    waits = []
    for run in ("quick", "slow"):
        with open(f"{run}/history.csv", newline="") as file:
            (row,) = csv.DictReader(file)
        waits.append(float(row["wait_percent"]))
        assert json.loads(Path(run, "run.json").read_text())["wait_percent"] == pytest.approx(waits[-1])
    assert 0 <= waits[0] < waits[1] <= 100
    assert f"{waits[1]:.0f} % waiting for data" in result.output
