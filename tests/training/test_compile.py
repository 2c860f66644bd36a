"""`--compile`: the training computes with a compiled network, and everything else with the network itself."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from conftest import Cli, train_fast
from torch import nn

from visionkit.errors import VisionkitError
from visionkit.training.compiling import compiled, require_compiler

pytestmark = pytest.mark.usefixtures("unpainted")

Graphs = list[int]


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> Graphs:
    """The compiler's front end with a back end that computes as ever, and what it was given."""
    graphs: Graphs = []
    compile = torch.compile

    def backend(graph: Any, inputs: list[Any]) -> Callable[..., Any]:
        graphs.append(len(inputs))
        return graph.forward  # type: ignore[no-any-return]

    monkeypatch.setattr(
        torch, "compile", lambda function, **options: compile(function, backend=backend, **options)
    )
    return graphs


@pytest.mark.parametrize(
    "dataset",
    ["pets", *(pytest.param(name, marks=pytest.mark.slow) for name in ("planet", "camvid"))],
    indirect=True,
)
def test_the_results_are_the_same(cli: Cli, dataset: tuple[str, Path], counted: Graphs) -> None:
    """Run folder, weights' names and values, and the restored model."""
    name, folder = dataset
    assert train_fast(cli, name, folder, "--out", "plain").exit_code == 0
    assert not counted
    result = train_fast(cli, name, folder, "--compile", "--out", "compiled")
    assert result.exit_code == 0, result.output
    assert max(counted) > 20, "the network was compiled, with its weights"
    for file in ("batches.csv", "model/model.safetensors"):
        assert Path("plain", file).read_bytes() == Path("compiled", file).read_bytes()
    infos = [json.loads(Path(run, "run.json").read_text()) for run in ("plain", "compiled")]
    assert infos[0]["metrics"] == infos[1]["metrics"] and infos[1]["settings"]["compile"] is True
    counted.clear()
    assert cli("plot", "compiled").exit_code == 0
    assert not counted, "a restored model is not compiled"


@pytest.mark.slow
def test_a_new_size_and_frozen_stages(cli: Cli, pets: Path, counted: Graphs, tmp_path: Path) -> None:
    import torchvision

    torch.save(torchvision.models.squeezenet1_1().state_dict(), tmp_path / "body.pth")
    options = ["--arch", "squeezenet1_1", "--weights", tmp_path / "body.pth", "--workers", 0, "--bs", 4]
    sizes = ["--size", 32, "--then", 48, "--compile", "--out", "run"]
    result = cli("pets", "--data", pets, *options, *sizes)
    assert result.exit_code == 0, result.output
    assert len(counted) >= 8, "four stages, each with its training and its validation"


def test_in_place_and_back(counted: Graphs) -> None:
    model = nn.Sequential(nn.Linear(3, 4), nn.ReLU())
    names, before = list(model.state_dict()), model(torch.ones(2, 3))
    with compiled(model):
        assert torch.equal(model(torch.ones(2, 3)), before) and counted
        assert list(model.state_dict()) == names
    assert "forward" not in vars(model) and torch.equal(model(torch.ones(2, 3)), before)
    with pytest.raises(ZeroDivisionError), compiled(model):
        raise ZeroDivisionError
    assert "forward" not in vars(model)
    with compiled(model, wanted=False):
        assert "forward" not in vars(model)


def test_no_compiler_is_one_message(cli: Cli, pets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told before anything is fetched or written."""
    import torch._inductor.config as config

    monkeypatch.setattr(config.cpp, "cxx", ("no-such-compiler",))
    monkeypatch.setenv("CXX", "no-such-compiler")
    monkeypatch.setattr(config, "force_disable_caches", True)
    with pytest.raises(
        VisionkitError, match=r"--compile: .*C\+\+ compiler such as g\+\+.* Leave the option out"
    ):
        require_compiler(torch.device("cpu"))
    result = train_fast(cli, "pets", pets, "--compile", "--out", "run")
    assert result.exit_code != 0 and "--compile" in result.output and "Traceback" not in result.output
    assert not Path("run").exists()


@pytest.mark.slow
@pytest.mark.parametrize("dataset", ["pets", "camvid"], indirect=True)
def test_with_the_compiler_itself(cli: Cli, dataset: tuple[str, Path]) -> None:
    """Needs a C++ compiler: rounding is another, the training the same. Dropout draws other numbers."""
    name, folder = dataset
    options = [] if name == "camvid" else ["--dropout", 0]
    assert train_fast(cli, name, folder, *options, "--out", "plain").exit_code == 0
    result = train_fast(cli, name, folder, *options, "--compile", "--out", "compiled")
    assert result.exit_code == 0, result.output
    first = [Path(run, "batches.csv").read_text().splitlines()[1] for run in ("plain", "compiled")]
    losses = [float(row.split(",")[-1]) for row in first]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)
    assert cli("plot", "compiled").exit_code == 0
