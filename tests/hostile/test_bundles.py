"""Models from anywhere: damaged, contradictory and malicious ones."""

from __future__ import annotations

import json
import os
import pickle
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from random import Random

import numpy as np
import pytest
import torch
from conftest import Cli
from hostile.hammering import assert_ended_well, hammer, in_child, many
from hostile.mutating import mutated_bytes, mutated_json, mutated_safetensors, safetensors_of
from inference.stored import stored_bundle
from PIL import Image

import visionkit
from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.bundle_files import DESCRIPTION_FILE, WEIGHTS_FILE
from visionkit.models.weights import read_state

TASKS = ("single-label", "multi-label", "segmentation", "keypoints")


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    root = tmp_path_factory.mktemp("bundles")
    return {task: stored_bundle(root / task, task) for task in TASKS}


@pytest.fixture(scope="module")
def photo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("photo") / "a.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 50, 3), dtype=np.uint8)).save(file)
    return file


def answered(folder: Path, photo: Path) -> None:
    """Load and predict; the answer fits the description."""
    model = visionkit.load(folder, device="cpu")
    height, width = model.description.input_size
    steps = model.description.preprocessing.steps
    sides = [getattr(step, "width", 1) * getattr(step, "height", 1) for step in steps]
    sizes = [step.size for step in steps if getattr(step, "size", None)]
    if max(height * width, *sides, *(size[0] * size[1] for size in sizes), 0) > 300 * 300:
        return  # right, and slow on one core: how much is computed is the description's to say
    answer = model.predict(photo)
    repr(answer), repr(model)


@many(40, 900)
def test_a_description_with_changes(count: int, kept: dict[str, Path], photo: Path, tmp_path: Path) -> None:
    def case(random: Random) -> None:
        folder = kept[random.choice(TASKS)]
        content = json.loads((folder / DESCRIPTION_FILE).read_text())
        (tmp_path / DESCRIPTION_FILE).write_bytes(mutated_json(content, random))
        (tmp_path / WEIGHTS_FILE).unlink(missing_ok=True)
        os.link(folder / WEIGHTS_FILE, tmp_path / WEIGHTS_FILE)
        answered(tmp_path, photo)

    hammer("model.json", count, case)


@many(25, 300)
def test_weights_with_changes(count: int, kept: dict[str, Path], photo: Path, tmp_path: Path) -> None:
    """The description names the changed weights, so that their checksum does not save us."""

    def case(random: Random) -> None:
        folder = kept["multi-label"]
        weights = mutated_safetensors((folder / WEIGHTS_FILE).read_bytes(), random)
        description = json.loads((folder / DESCRIPTION_FILE).read_text())
        if random.random() < 0.9:
            description["weights"] = {"sha256": sha256(weights).hexdigest(), "bytes": len(weights)}
        (tmp_path / DESCRIPTION_FILE).write_text(json.dumps(description))
        (tmp_path / WEIGHTS_FILE).write_bytes(weights)
        answered(tmp_path, photo)

    hammer("model.safetensors", count, case)


HUGE = """
import pathlib, sys
import visionkit
from visionkit.errors import VisionkitError
folder = pathlib.Path(sys.argv[1])
visionkit.load(folder, device="cpu")
try:
    visionkit.load(folder.parent / "huge", device="cpu")
except VisionkitError as error:
    print("refused:", error)
else:
    print("loaded")
"""


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["description", "header", "layers", "sparse file"])
def test_what_claims_to_be_huge_takes_no_memory(kind: str, kept: dict[str, Path]) -> None:
    """In a process that may hold 2 GB, imports among them."""
    folder = kept["single-label"]
    huge = folder.parent / "huge"
    huge.mkdir(exist_ok=True)
    said = json.loads((folder / DESCRIPTION_FILE).read_text())
    weights = (folder / WEIGHTS_FILE).read_bytes()
    text = ""
    if kind == "description":
        text = '{"format_version": 2, "x": [' + "[]," * ((1 << 23) // 3 - 20) + "[]]}"
    elif kind == "header":
        weights = safetensors_of(json.dumps({f"t{n}": {} for n in range(300_000)}).encode(), b"")
    elif kind == "layers":
        said["network"]["head"][-1]["inputs"] = 1_000_000
        said["network"]["head"][-1]["outputs"] = said["network"]["outputs"] = 1_000_000
        said["vocab"] = [str(number) for number in range(1_000_000)]
    said["weights"] = {"sha256": sha256(weights).hexdigest(), "bytes": len(weights)}
    (huge / WEIGHTS_FILE).write_bytes(weights)
    if kind == "sparse file":
        said["weights"]["bytes"] = 1 << 38
        os.truncate(huge / WEIGHTS_FILE, 1 << 38)
    (huge / DESCRIPTION_FILE).write_text(text or json.dumps(said))
    ended = in_child(HUGE, folder)
    assert ended.returncode == 0 and ended.stdout.startswith("refused: "), ended.stdout + ended.stderr


class Malice:
    """Unpickled, it makes a file."""

    def __init__(self, made: Path) -> None:
        self.made = made

    def __reduce__(self) -> tuple[object, ...]:
        return os.system, (f"touch {self.made}",)


@pytest.mark.parametrize("ending", [".pth", ".pt", ".bin", ".pkl", ".safetensors"])
def test_weights_that_are_programs_are_refused(cli: Cli, pets: Path, tmp_path: Path, ending: str) -> None:
    made, file = tmp_path / "made", tmp_path / f"evil{ending}"
    for protocol in (None, 2, "zip"):
        if protocol == "zip":
            with zipfile.ZipFile(file, "w") as archive:
                archive.writestr("evil/data.pkl", pickle.dumps({"a": Malice(made)}, protocol=2))
                archive.writestr("evil/version", "3")
        elif protocol is None:
            torch.save({"a": Malice(made)}, file)
        else:
            file.write_bytes(pickle.dumps(Malice(made), protocol=protocol))
        for command in (
            ("pets", "--data", pets, "--arch", "squeezenet1_1", "--weights", file, "--size", 32),
            ("classify", "--arch", "squeezenet1_1", "--weights", file, pets / "images" / "Sphynx_1.jpg"),
        ):
            result = cli(*command)
            assert_ended_well(result, command)
            assert result.exit_code == 2 and "not a state dict" in result.output, result.output
    assert not made.exists()


@pytest.mark.parametrize(
    "value",
    [
        lambda: torch.eye(3).to_sparse(),
        lambda: torch.eye(3).to_sparse_csr(),
        lambda: torch.ones(3, dtype=torch.complex64),
        lambda: torch.quantize_per_tensor(torch.ones(3), 0.1, 0, torch.qint8),
        lambda: torch.empty(3, device="meta"),
        lambda: [1.0, 2.0],
        lambda: "text",
    ],
    ids=["sparse", "csr", "complex", "quantised", "meta", "list", "text"],
)
@pytest.mark.filterwarnings("ignore")
def test_weights_that_no_network_can_take(value: Callable[[], object], tmp_path: Path) -> None:
    file = tmp_path / "odd.pth"
    torch.save({"weight": value()}, file)
    with pytest.raises(UsageError, match="not a state dict"):
        read_state(file)
    torch.save({7: torch.ones(1)}, file)
    with pytest.raises(UsageError, match="not a state dict"):
        read_state(file)


@many(30, 500)
@pytest.mark.filterwarnings("ignore")
def test_weight_files_with_changes(count: int, tmp_path: Path) -> None:
    file = tmp_path / "good.pth"
    state = {"layer.weight": torch.arange(12.0).reshape(3, 4), "layer.bias": torch.zeros(3)}
    good = {}
    for name, old in (("zip", False), ("pickle", True)):
        torch.save(state, file, _use_new_zipfile_serialization=not old)
        good[name] = file.read_bytes()

    def case(random: Random) -> None:
        file.write_bytes(mutated_bytes(good[random.choice(list(good))], random, most=3))
        for value in read_state(file).values():
            assert value.layout == torch.strided

    hammer("weights.pth", count, case)


@many(10, 150)
def test_commands_with_changed_bundles(count: int, cli: Cli, kept: dict[str, Path], photo: Path) -> None:
    """`load`, `card` and `predict` on a folder of two files."""
    place = Path("bundle")
    place.mkdir()

    def case(random: Random) -> None:
        folder = kept[random.choice(TASKS)]
        description = json.loads((folder / DESCRIPTION_FILE).read_text())
        (place / DESCRIPTION_FILE).write_bytes(mutated_json(description, random, most=1))
        (place / WEIGHTS_FILE).unlink(missing_ok=True)
        os.link(folder / WEIGHTS_FILE, place / WEIGHTS_FILE)
        command = random.choice([("load", "bundle"), ("card", "bundle", "--out", "card.md", "--force")])
        assert_ended_well(cli(*command), command)

    hammer("bundle commands", count, case)
    assert {path.name for path in Path().iterdir()} <= {"bundle", "card.md"}


def test_names_that_a_terminal_would_obey(cli: Cli, kept: dict[str, Path], photo: Path) -> None:
    """Class names, recipe and caveat with escapes: in answers, facts and warnings."""
    folder = Path("bundle")
    folder.mkdir()
    said = json.loads((kept["single-label"] / DESCRIPTION_FILE).read_text())
    evil = "\x1b]0;owned\x07\x1b[2J[red]x[/red]\u202e"
    said["vocab"] = [f"{evil}{number}" for number in range(len(said["vocab"]))]
    said |= {"recipe": f"pets{evil}", "dataset": evil, "exact": False, "caveat": f"{evil}\n{evil}"}
    said["metrics"] = {evil: 0.5}
    (folder / DESCRIPTION_FILE).write_text(json.dumps(said))
    os.link(kept["single-label"] / WEIGHTS_FILE, folder / WEIGHTS_FILE)
    for command in (("load", "bundle"), ("predict", "bundle", photo), ("predict", "bundle", photo, "--json")):
        result = cli(*command)
        assert result.exit_code == 0, result.output
        assert_ended_well(result, command)
    assert "[red]x[/red]" in cli("load", "bundle").output
    assert "\x1b" not in repr(visionkit.load("bundle", device="cpu"))


@many(15, 200)
def test_onnx_files_with_changes(
    count: int, kept: dict[str, Path], photo: Path, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    good = onnx_file(kept["single-label"], tmp_path_factory)
    file = tmp_path / "model.onnx"

    def case(random: Random) -> None:
        file.write_bytes(changed_onnx(good, random))
        visionkit.load(file, device="cpu").predict(photo)

    hammer("model.onnx", count, case)


def onnx_file(folder: Path, factory: pytest.TempPathFactory) -> bytes:
    """A small graph with our metadata, as `visionkit export --preprocessing outside` writes it."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    said = json.loads((folder / DESCRIPTION_FILE).read_text())
    height, width = said["input_size"]
    outputs = len(said["vocab"])
    weight = numpy_helper.from_array(np.ones((3, outputs), dtype=np.float32), "weight")
    nodes = [
        helper.make_node("GlobalAveragePool", ["input"], ["pooled"]),
        helper.make_node("Flatten", ["pooled"], ["flat"]),
        helper.make_node("MatMul", ["flat", "weight"], ["logits"]),
        helper.make_node("Softmax", ["logits"], ["probabilities"], axis=1),
    ]
    graph = helper.make_graph(
        nodes,
        "small",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, height, width])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", outputs])],
        [weight],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    helper.set_model_props(model, {"model.json": json.dumps(said), "preprocessing": "outside"})
    file = factory.mktemp("onnx") / "model.onnx"
    onnx.save(model, file)
    return file.read_bytes()


def changed_onnx(good: bytes, random: Random) -> bytes:
    import onnx

    if random.random() < 0.6:
        return mutated_bytes(good, random)
    model = onnx.load_from_string(good)
    entry = next(each for each in model.metadata_props if each.key == "model.json")
    entry.value = mutated_json(json.loads(entry.value), random).decode("utf-8", "replace")
    return model.SerializeToString()


def test_an_onnx_file_reads_no_other_files(kept: dict[str, Path], tmp_path: Path) -> None:
    """Weights in other files are not followed out of the folder."""
    import onnx
    from onnx.external_data_helper import set_external_data

    (tmp_path / "secret").write_bytes(bytes(1000))
    folder = tmp_path / "folder"
    folder.mkdir()
    model = onnx.load_from_string(onnx_file(kept["single-label"], _Factory(tmp_path)))
    tensor = model.graph.initializer[0]
    size = len(tensor.raw_data)
    set_external_data(tensor, location="../secret", offset=0, length=size)
    tensor.ClearField("raw_data")
    (folder / "model.onnx").write_bytes(model.SerializeToString())
    with pytest.raises(VisionkitError):
        visionkit.load(folder / "model.onnx", device="cpu")


class _Factory:
    def __init__(self, root: Path) -> None:
        self.root = root

    def mktemp(self, name: str) -> Path:
        folder = self.root / name
        folder.mkdir()
        return folder
