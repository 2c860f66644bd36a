"""Files and processes that go wrong in the midst of a training."""

from __future__ import annotations

import json
import multiprocessing
import os
import re
import shutil
import signal
from collections.abc import Callable
from multiprocessing import resource_sharer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from visionkit.errors import DataError, VisionkitError
from visionkit.progress import PlainProgress
from visionkit.registry import get_recipe
from visionkit.runs import Run
from visionkit.sources.base import Store
from visionkit.training import recording
from visionkit.training.progress import EpochResult
from visionkit.training.stages import Stage
from visionkit.training.train import train

pytestmark = pytest.mark.usefixtures("unpainted")

OPTIONS: dict[str, Any] = {
    "arch": "squeezenet1_1",
    "pretrained": False,
    "precision": "fp32",
    "bs": 4,
    "size": 32,
    "epochs": (3,),
    "freeze_epochs": (0,),
    "then": (),
}
CAMVID = {"size": 36, "arch": "small_vgg"}


class Meddling(PlainProgress):
    """A reporter that does something when the first epoch is done, or at every batch."""

    def __init__(self, after_epoch: Callable[[], None] | None, in_batch: Callable[[], None] | None) -> None:
        self.after_epoch, self.in_batch = after_epoch, in_batch
        self.notes: list[str] = []

    def note(self, text: str) -> None:
        self.notes.append(text)

    def epoch_started(self, stage: Stage, epoch: int, images: int) -> None: ...

    def batch_done(self, images: int, loss: float) -> None:
        if self.in_batch is not None:
            self.in_batch()

    def epoch_done(self, result: EpochResult) -> None:
        if self.after_epoch is not None and result.epoch == 1:
            meddle, self.after_epoch = self.after_epoch, None
            meddle()


def trained(
    data: Path,
    tmp_path: Path,
    after_epoch: Callable[[], None] | None = None,
    in_batch: Callable[[], None] | None = None,
    **options: Any,
) -> Meddling:
    recipe = get_recipe(data.name)
    reporter = Meddling(after_epoch, in_batch)
    settings = recipe.resolved(**{**OPTIONS, **options})
    store = Store(tmp_path / "store", progress=reporter)
    try:
        train(recipe, settings, data=data, out=tmp_path / "run", store=store, reporter=reporter)
    finally:
        reporter.info = Run.read(tmp_path / "run").info  # type: ignore[attr-defined]
    return reporter


def failed(tmp_path: Path) -> str:
    info = json.loads((tmp_path / "run" / "run.json").read_text())
    assert info["status"] == "failed"
    assert not (tmp_path / "run" / "model").exists()
    return str(info["error"])


def a_training_image(tmp_path: Path, data: Path) -> Path:
    """One that the training does not get to before the meddling."""
    return sorted((data / "images").iterdir())[0]


@pytest.mark.parametrize("workers", [0, 1])
@pytest.mark.parametrize("how", ["deleted", "cut short"])
def test_an_image_that_is_spoilt(pets: Path, tmp_path: Path, how: str, workers: int) -> None:
    """Between two epochs, without the cache: one message names it."""
    image = a_training_image(tmp_path, pets)

    def spoil() -> None:
        if how == "deleted":
            image.unlink()
        else:
            image.write_bytes(image.read_bytes()[:300])

    with pytest.raises(DataError) as found:
        trained(pets, tmp_path, spoil, cache="off", workers=workers)
    text = str(found.value)
    assert image.name in text and "\n" not in text and "Exception occured" not in text
    assert f"visionkit resume {tmp_path / 'run'} goes on" in text
    assert ("gone since the training began" if how == "deleted" else "does not decode") in text
    assert image.name in failed(tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [0, 1])
def test_images_that_vanish_within_an_epoch(
    pets: Path, tmp_path: Path, workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The loader itself fails; the message names the files all the same."""
    monkeypatch.setattr(recording, "TELL_EVERY", 0.0)

    def vanish() -> None:
        for image in (pets / "images").glob("*.jpg"):
            image.unlink()

    with pytest.raises(
        DataError, match=r"pets: 24 files are gone since the training began: .*19 more\. Once"
    ):
        trained(pets, tmp_path, None, vanish, cache="off", workers=workers, bs=2)
    failed(tmp_path)


@pytest.mark.slow
def test_an_image_of_another_size(pets: Path, tmp_path: Path) -> None:
    """It can be trained on, so it is; once it is told."""
    image = a_training_image(tmp_path, pets)

    def replace() -> None:
        Image.fromarray(np.full((90, 70, 3), 50, dtype=np.uint8)).save(image)

    reporter = trained(pets, tmp_path, replace, cache="off", workers=0)
    told = [note for note in reporter.notes if "changed during the training" in note]
    assert len(told) == 1 and f"images/{image.name}" in told[0] and "a file of the data set" in told[0]


@pytest.mark.slow
@pytest.mark.parametrize("mask", [False, True])
def test_a_frame_that_no_longer_has_its_masks_size(camvid: Path, tmp_path: Path, mask: bool) -> None:
    name = "labels/frame_1_P.png" if mask else "images/frame_1.png"

    def replace() -> None:
        shape = (40, 40) if mask else (40, 40, 3)
        Image.fromarray(np.zeros(shape, dtype=np.uint8)).save(camvid / name)

    with pytest.raises(DataError, match=r"frame_1.*visionkit resume .* goes on"):
        trained(camvid, tmp_path, replace, cache="off", workers=0, **CAMVID)
    assert "frame_1" in failed(tmp_path)


@pytest.mark.parametrize("recipe", ["pets", "camvid"])
def test_with_the_cache_files_are_not_needed(
    recipe: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """All images may vanish: the training ends with a model that can be loaded, of the data that it saw."""
    import visionkit

    data: Path = request.getfixturevalue(recipe)

    def vanish() -> None:
        for image in (data / "images").iterdir():
            image.unlink()

    options: dict[str, Any] = CAMVID if recipe == "camvid" else {}
    reporter = trained(data, tmp_path, vanish, workers=1, **options)
    info = Run.read(tmp_path / "run").info
    assert info["status"] == "done"
    assert (tmp_path / "run" / "model" / "model.json").is_file(), reporter.notes
    about = json.loads((tmp_path / "run" / "model" / "model.json").read_text())
    assert about["data_fingerprint"] == info["data"]["fingerprint"]
    assert not [note for note in reporter.notes if "changed during" in note]
    without_plots = [note for note in reporter.notes if note.startswith("plots      not all are drawn")]
    assert bool(without_plots) is (recipe == "pets"), "which show the image files themselves"
    assert visionkit.load(tmp_path / "run" / "model") is not None


def test_a_cache_that_is_cleared(pets: Path, tmp_path: Path) -> None:
    """The next stage says so, and loads from the files."""
    reporter = trained(
        pets, tmp_path, lambda: shutil.rmtree(tmp_path / "store" / "cache"), then=(40,), epochs=(1,)
    )
    told = [note for note in reporter.notes if "cache      is gone" in note]
    assert told == ["cache      is gone: stage 2 loads from the files, which is slower"]
    assert Run.read(tmp_path / "run").info["status"] == "done"


def test_a_loader_process_that_is_killed(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "TELL_EVERY", 0.0)
    killed: list[int] = []

    def kill() -> None:
        for process in multiprocessing.active_children():
            if process.pid is not None and not killed:
                killed.append(process.pid)
                os.kill(process.pid, signal.SIGKILL)

    with pytest.raises(VisionkitError) as found:
        trained(pets, tmp_path, None, kill, cache="off", workers=1, bs=2)
    text = str(found.value)
    assert re.search(rf"ended from outside \(process {killed[0]}\)", text), text
    assert "--workers" in text and "visionkit resume" in text and "\n" not in text
    failed(tmp_path)


def test_a_loader_process_that_is_killed_as_it_hands_over_a_batch(
    pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is noticed first is a connection that breaks, and not a process that is gone."""
    killed: list[int] = []
    detach = resource_sharer.DupFd.detach

    def broken(self: Any) -> Any:
        for process in multiprocessing.active_children():
            if process.pid is not None and not killed:
                killed.append(process.pid)
                os.kill(process.pid, signal.SIGKILL)
                raise ConnectionResetError(104, "Connection reset by peer")
        return detach(self)

    monkeypatch.setattr(resource_sharer.DupFd, "detach", broken)
    with pytest.raises(VisionkitError, match=r"ended from outside \(process \d+\)") as found:
        trained(pets, tmp_path, cache="off", workers=1, bs=2)
    assert f"process {killed[0]})" in str(found.value)
    failed(tmp_path)


def test_a_thread_that_decodes_fails(pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of a thread over the cache comes out as it is, and the run says that it failed."""
    from visionkit.loading import batches

    calls = [0]
    original = batches.TrainingFeed._made

    def made(*args: Any) -> Any:
        calls[0] += 1
        if calls[0] > 7:
            raise OSError(5, "Input/output error")
        return original(*args)

    monkeypatch.setattr(batches.TrainingFeed, "_made", made)
    with pytest.raises(OSError, match="Input/output error"):
        trained(pets, tmp_path, workers=2)
    assert "Input/output error" in failed(tmp_path)
