"""What is saved, and said, where another process is gone."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from visionkit.checkpoints.folder import CheckpointFolder
from visionkit.checkpoints.form import Position
from visionkit.checkpoints.saving import Saving
from visionkit.distributed.losing import lost_processes_told
from visionkit.distributed.lost import ProcessLost
from visionkit.distributed.world import World
from visionkit.training.interruption import Interruption
from visionkit.training.stages import Stage

GONE = (
    "[/pytorch/third_party/gloo/gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:4421. "
    "This is typically caused by a remote worker crashing."
)


def saving_in(run: Path, epoch: int, batch: int, notes: list[str]) -> Saving:
    """The callback of a training of two epochs that has got this far."""
    made = Saving(CheckpointFolder(run), Interruption(notes.append), [], notes.append, 60, 0)
    loaders = SimpleNamespace(train=range(5))
    made.learn = SimpleNamespace(model=nn.Linear(1, 1), n_epoch=2, dls=loaders, cbs=[])
    made.stage, made.reached = Stage(1, 32, False, 2, 1e-3, 1.0), (epoch, batch)
    return made


def lost(saving: Saving) -> str:
    with pytest.raises(ProcessLost) as found, lost_processes_told(World(size=2), saving):
        raise RuntimeError(GONE)
    return str(found.value)


def test_weights_that_are_no_numbers_are_not_said_to_be_saved(tmp_path: Path) -> None:
    notes: list[str] = []
    saving = saving_in(tmp_path, 0, 3, notes)
    nn.init.constant_(saving.learn.model.bias, math.nan)
    assert lost(saving).endswith(" peer [127.0.0.1]:4421). Nothing of it is saved; start again.")
    assert notes == [
        "checkpoint not saved at stage 1, epoch 1, batch 4: the weights are no numbers any more."
    ]


def test_a_full_disk_is_not_said_to_hold_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    notes: list[str] = []
    saving = saving_in(tmp_path, 1, 0, notes)
    saving.interruption.asked = True

    def full(checkpoint: Any) -> Path:
        raise OSError(28, "No space left on device", "run/checkpoint")

    monkeypatch.setattr(saving, "_checkpoint", lambda position: None)
    monkeypatch.setattr(saving.folder, "write", full)
    (tmp_path / "checkpoint").mkdir()
    (tmp_path / "checkpoint" / "000001.safetensors").touch()
    assert "is saved" not in (said := lost(saving)) and f"visionkit resume {tmp_path} goes on" in said
    assert len(notes) == 1 and "No space left on device" in notes[0]


def test_what_is_saved_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    saving = saving_in(tmp_path, 1, 5, [])
    monkeypatch.setattr(saving, "_checkpoint", lambda position: None)
    monkeypatch.setattr(saving.folder, "write", lambda checkpoint: tmp_path)
    assert "What was trained is saved, at stage 1, epoch 2, before its validation. " in lost(saving)


def test_a_stage_that_is_done_is_saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the other is gone as the two agree on whether to stop after it."""
    saving, saved = saving_in(tmp_path, 2, 0, []), []

    def gone() -> None:
        raise RuntimeError(GONE)

    def save(position: Position) -> bool:
        saved.append(position)
        return True

    monkeypatch.setattr(saving.interruption, "agree", gone)
    monkeypatch.setattr(saving, "save", save)
    stage = saving.stage
    assert stage is not None
    with pytest.raises(ProcessLost, match="is saved, at stage 2"), lost_processes_told(World(size=2), saving):
        saving.stage_done(saving.learn, stage)
    assert saved == [Position(stage=2)]


@pytest.mark.parametrize(("ask", "what"), [("agreed", True), ("gathered", 1), ("told", list)])
def test_before_a_training_too(ask: str, what: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def gone(*given: Any, **options: Any) -> None:
        raise RuntimeError(GONE)

    for name in ("all_reduce", "all_gather_object", "broadcast_object_list"):
        monkeypatch.setattr(torch.distributed, name, gone)
    with pytest.raises(
        ProcessLost, match=r"one of the 2 processes .* \(Connection closed by peer \[.*\]:4421\)"
    ):
        getattr(World(size=2), ask)(what)
