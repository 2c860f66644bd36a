"""Checkpoint files: what is written comes back to the last bit, and nothing that is damaged is taken."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from visionkit.checkpoints.folder import CheckpointFolder
from visionkit.checkpoints.form import Checkpoint, Position, Values, read_checkpoint, write_checkpoint
from visionkit.checkpoints.random_states import random_states, set_random_states
from visionkit.errors import VisionkitError


def checkpoint(batch: int = 3, **values: object) -> Checkpoint:
    position = Position(stage=1, epoch=2, batch=batch)
    tensors = {
        "model.weight": torch.randn(4, 3, 2, 2).to(memory_format=torch.channels_last),
        "model.half": torch.randn(5).bfloat16(),
        "model.count": torch.tensor(7),
        "optimizer.0.step": torch.tensor(2.0),
        "model.none": torch.zeros(0, 3),
    }
    given = {"stages": [], "pretrained": True, "size": 32, "batch_size": 4, "random": {}, "loader": []}
    return Checkpoint(Values(position=position, seconds=1.5, **{**given, **values}), tensors)


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rate=st.floats(), progress=st.floats(allow_nan=False), name=st.text(max_size=20))
def test_comes_back_to_the_last_bit(rate: float, progress: float, name: str, tmp_path: Path) -> None:
    written = checkpoint(rate=rate, progress=progress, callbacks={name: {"value": rate}})
    path = tmp_path / "checkpoint.safetensors"
    write_checkpoint(path, written)
    found = read_checkpoint(path)
    assert found.values.model_dump_json() == written.values.model_dump_json()
    for value in (found.values.rate, found.values.callbacks[name]["value"]):
        assert value == rate or (math.isnan(rate) and math.isnan(value))
    assert found.values.progress == progress
    assert found.tensors.keys() == written.tensors.keys()
    for key, tensor in written.tensors.items():
        assert found.tensors[key].dtype == tensor.dtype and torch.equal(found.tensors[key], tensor)
    assert [path.name for path in tmp_path.iterdir()] == [path.name]


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_whatever_is_damaged_is_refused(data: st.DataObject, tmp_path: Path) -> None:
    path = tmp_path / "checkpoint.safetensors"
    if not path.exists():
        write_checkpoint(path, checkpoint())
        (tmp_path / "whole").write_bytes(path.read_bytes())
    whole = (tmp_path / "whole").read_bytes()
    content = bytearray(whole)
    place = data.draw(st.integers(0, len(whole) - 1))
    if data.draw(st.booleans()):
        content[place] ^= data.draw(st.integers(1, 255))
    else:
        del content[place:]
    path.write_bytes(content)
    try:
        found = read_checkpoint(path)
    except VisionkitError as error:
        message = str(error)
    else:  # a byte that says nothing, as white space between names
        before = read_checkpoint(tmp_path / "whole")
        assert found.values == before.values
        assert all(torch.equal(found.tensors[name], value) for name, value in before.tensors.items())
        return
    assert str(path) in message and "\n" not in message


def test_the_last_two_are_kept_and_a_damaged_one_is_passed_over(tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    notes: list[str] = []
    assert folder.newest(notes.append) is None
    for batch in range(1, 5):
        folder.write(checkpoint(batch))
    files = sorted(folder.path.iterdir())
    assert [file.name for file in files] == ["000003.safetensors", "000004.safetensors"]
    newest = folder.newest(notes.append)
    assert newest is not None and newest.position.batch == 4 and not notes
    files[1].write_bytes(files[1].read_bytes()[:-1])
    newest = folder.newest(notes.append)
    assert newest is not None and newest.position.batch == 3
    assert len(notes) == 1 and "000004.safetensors" in notes[0] and "passed over" in notes[0]
    folder.remove_damaged()
    folder.write(checkpoint(9))
    assert sorted(file.name for file in folder.path.iterdir()) == ["000003.safetensors", "000004.safetensors"]
    for file in folder.path.iterdir():
        file.write_bytes(b"")
    assert folder.newest(notes.append) is None


@pytest.mark.parametrize("name", ["000001.safetensors.txt", "1.safetensors", ".000009.safetensors.part"])
def test_other_files_are_left_alone(name: str, tmp_path: Path) -> None:
    folder = CheckpointFolder(tmp_path)
    folder.write(checkpoint())
    (folder.path / name).write_text("mine")
    for _ in range(3):
        folder.write(checkpoint())
    assert (folder.path / name).read_text() == "mine"
    assert folder.newest(print) is not None


def test_random_states_come_back() -> None:
    (
        random.gauss(0, 1),
        np.random.standard_normal(),
        torch.randn(3),
    )  # an odd number: each keeps a second value
    tensors, values = random_states()
    drawn = [random.gauss(0, 1), random.random(), float(np.random.standard_normal()), torch.randn(4).tolist()]
    random.random(), np.random.rand(5), torch.rand(7)
    set_random_states(tensors, values)
    again = [random.gauss(0, 1), random.random(), float(np.random.standard_normal()), torch.randn(4).tolist()]
    assert again == drawn
