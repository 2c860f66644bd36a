"""Bundles: what each release wrote is read, without fastai, and damaged or hostile files end in a message."""

from __future__ import annotations

import copy
import json
import lzma
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import load_file, save_file

import visionkit
from visionkit.errors import VisionkitError
from visionkit.inference.bundle import write_description, write_weights
from visionkit.inference.bundle_files import DESCRIPTION_FILE, WEIGHTS_FILE, read_description
from visionkit.inference.description import FORMAT_VERSION, parse_description
from visionkit.inference.results import UNSEEN, MaskPrediction, TagPrediction

KEPT = Path(__file__).parent / "bundles"
RELEASES = sorted(place.relative_to(KEPT).as_posix() for place in KEPT.glob("*/*"))
TASKS = ["keypoints", "multi-label", "segmentation", "single-label"]


def unpacked(release: str, folder: Path) -> Path:
    """A copy of a kept bundle as it was written."""
    shutil.copytree(KEPT / release, folder)
    packed = folder / f"{WEIGHTS_FILE}.xz"
    (folder / WEIGHTS_FILE).write_bytes(lzma.decompress(packed.read_bytes()))
    packed.unlink()
    return folder


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The present release's bundles by their task; they are not to be changed."""
    place = tmp_path_factory.mktemp("kept")
    return {task: unpacked(f"{visionkit.__version__}/{task}", place / task) for task in TASKS}


@pytest.fixture
def labels(kept: dict[str, Path], tmp_path: Path) -> Path:
    """A single-label bundle to change."""
    return Path(shutil.copytree(kept["single-label"], tmp_path / "model"))


def images(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.png"))


def changed(folder: Path, **changes: Any) -> None:
    """Put `changes` into model.json; a name with points goes to the parts."""
    path = folder / DESCRIPTION_FILE
    content = json.loads(path.read_text())
    for name, value in changes.items():
        *places, last = name.split("__")
        part = content
        for place in places:
            part = part[int(place) if place.isdigit() else place]
        part[int(last) if last.isdigit() else last] = value
    path.write_text(json.dumps(content))


def refusal(folder: Path) -> str:
    """The one message that loading ends in; it names the file."""
    with pytest.raises(VisionkitError) as caught:
        visionkit.load(folder, device="cpu")
    message = str(caught.value)
    assert str(folder) in message and "\n" not in message and len(message) < 1000
    return message


def test_every_release_is_kept() -> None:
    assert [f"{visionkit.__version__}/{task}" for task in TASKS] == [
        release for release in RELEASES if release.startswith(f"{visionkit.__version__}/")
    ], "run tests/inference/write_bundles.py before a release"


@pytest.mark.parametrize("release", RELEASES)
def test_what_a_release_wrote_is_read(release: str, tmp_path: Path) -> None:
    folder = unpacked(release, tmp_path / "model")
    model = visionkit.load(folder, device="cpu")
    assert model.task == release.partition("/")[2] and model.description.exact
    for known in json.loads((folder / "expected.json").read_text()):
        image = folder / known["image"]
        outputs = model.outputs(model.preprocess(image)[None])
        sums = outputs.flatten(2).mean(dim=2)[0] if model.task == "segmentation" else outputs[0]
        wanted = torch.tensor(known["outputs"])
        assert (sums - wanted).abs().max() <= 1e-3 * max(1.0, float(wanted.abs().max()))
        said: Any = model.predict(image, own_size=False)
        match model.task:
            case "single-label":
                assert said.label == known["prediction"] == said.top(1)[0][0]
                assert said.probabilities.sum() == pytest.approx(1, abs=1e-5)
            case "multi-label":
                assert list(said.tags) == known["prediction"]
            case "keypoints":
                assert said.points == pytest.approx(np.array(known["prediction"]), abs=0.5)
            case _:
                codes = np.array([[ord(code) - 97 for code in row] for row in known["prediction"]])
                assert (said.codes == codes).mean() > 0.99


def test_a_fresh_process_imports_nothing_that_it_does_not_need(kept: dict[str, Path]) -> None:
    """Neither fastai nor what comes with it, and `import visionkit` alone not even torch."""
    program = f"""
import sys, visionkit
assert "torch" not in sys.modules
for folder in {[str(folder) for folder in kept.values()]!r}:
    model = visionkit.load(folder, device="cpu")
    print(type(model.predict(folder + "/0.png")).__name__)
unwanted = "fastai fastcore pandas matplotlib sklearn scipy timm torchmetrics IPython spacy typer".split()
print([name for name in unwanted if name in sys.modules])
"""
    result = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    names = ["PointPrediction", "TagPrediction", "MaskPrediction", "LabelPrediction", "[]"]
    assert result.stdout.splitlines() == names, result.stderr


def test_one_image_or_several_files_or_pictures(kept: dict[str, Path]) -> None:
    model = visionkit.load(str(kept["single-label"]), device="cpu")
    assert "pets: single-label, small_vgg, 8 names" in repr(model)
    several: Any = model.predict(images(model.folder) * 3, batch=4)
    one: Any = model.predict(str(images(model.folder)[0]))
    with Image.open(images(model.folder)[0]) as opened:
        picture: Any = model.predict(opened)
    assert len(several) == 6 and model.predict([]) == []
    for answer in (several[0], several[2], picture):
        assert answer.label == one.label
        assert answer.probabilities == pytest.approx(one.probabilities, abs=1e-6)
    assert [value for _, value in one.top(99)] == sorted(one.probabilities.tolist(), reverse=True)


def test_an_image_that_cannot_be_used_is_named(kept: dict[str, Path], tmp_path: Path) -> None:
    model = visionkit.load(kept["single-label"], device="cpu")
    (tmp_path / "bad.jpg").write_text("nothing")
    with pytest.raises(VisionkitError, match=r"bad\.jpg: "):
        model.predict([images(model.folder)[0], tmp_path / "bad.jpg"])


@pytest.mark.parametrize("size", [(128, 96), (7, 5), (300, 40)])
def test_masks_come_at_the_size_of_the_image(kept: dict[str, Path], size: tuple[int, int]) -> None:
    model = visionkit.load(kept["segmentation"], device="cpu")
    with Image.open(images(model.folder)[0]) as opened:
        picture = opened.convert("RGB").resize(size)
    whole, small = model.predict(picture), model.predict(picture, own_size=False)
    assert isinstance(whole, MaskPrediction) and isinstance(small, MaskPrediction)
    assert whole.codes.shape == size[::-1] and whole.picture().size == tuple(size)
    assert small.codes.shape == tuple(model.description.input_size)
    assert whole.shares.sum() == pytest.approx(1)
    places = [(2 * np.arange(new) + 1) * old // (2 * new) for new, old in zip(size[::-1], small.codes.shape)]
    assert np.array_equal(whole.codes, small.codes[np.ix_(*places)])


def test_what_a_crop_leaves_out_has_no_code(kept: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(kept["segmentation"], tmp_path / "model"))
    changed(folder, preprocessing__steps__0__method="crop")
    model = visionkit.load(folder, device="cpu")
    height, width = model.description.input_size
    said = model.predict(Image.new("RGB", (3 * width, height)))
    assert isinstance(said, MaskPrediction)
    assert (said.codes[:, :width] == UNSEEN).all() and (said.codes[:, 2 * width :] == UNSEEN).all()
    assert (said.codes[:, width : 2 * width] >= 0).all() and said.shares.sum() == pytest.approx(1)
    assert np.asarray(said.picture())[0, 0] == 255


def test_thresholds_decisions_and_temperature(kept: dict[str, Path], tmp_path: Path) -> None:
    folder = Path(shutil.copytree(kept["multi-label"], tmp_path / "model"))
    model = visionkit.load(folder, device="cpu")
    image = images(folder)[0]
    before = model.predict(image)
    assert isinstance(before, TagPrediction)
    ordered = [name for _, name in sorted(zip(before.probabilities.tolist(), before.vocab), reverse=True)]
    single = [0.0 if name == ordered[0] else 1.0 for name in before.vocab]
    for changes, tags in (
        ({"thresholds": 0.0}, set(ordered)),
        ({"thresholds": 1.0}, set()),
        ({"thresholds": single}, {ordered[0]}),
    ):
        write_description(folder, model.description.replaced(**changes))
        after = visionkit.load(folder, device="cpu").predict(image)
        assert isinstance(after, TagPrediction) and set(after.tags) == tags
    write_description(folder, model.description.replaced(decision="expected-f2", temperature=2.0))
    after = visionkit.load(folder, device="cpu").predict(image)
    assert isinstance(after, TagPrediction) and set(after.tags) == set(ordered[: len(after.tags)]) != set()
    logits = np.log(before.probabilities) - np.log1p(-before.probabilities)
    assert after.probabilities == pytest.approx(1 / (1 + np.exp(-logits / 2)), abs=1e-4)


def test_differences_to_the_training_are_told(labels: Path) -> None:
    changed(labels, exact=False, caveat="nothing is known of the transform Inverted")
    with pytest.warns(UserWarning, match=r"may differ .*: nothing is known of the transform Inverted"):
        visionkit.load(labels, device="cpu")


def test_half_precision_weights_are_taken(labels: Path) -> None:
    model = visionkit.load(labels, device="cpu")
    state = {
        name: value.half() if value.is_floating_point() else value
        for name, value in load_file(labels / WEIGHTS_FILE).items()
    }
    write_description(labels, model.description.replaced(weights=write_weights(labels, state)))
    image = model.preprocess(images(labels)[0])[None]
    found = visionkit.load(labels, device="cpu").outputs(image)
    assert found.dtype == torch.float32
    assert (found - model.outputs(image)).abs().max() < 0.05


def test_keys_of_later_versions_are_passed_over(labels: Path) -> None:
    changed(labels, novelty={"a": [1]}, network__novelty=None, preprocessing__steps__0__novelty=3)
    assert visionkit.load(labels, device="cpu").description.recipe == "pets"


BAD_FIELDS: dict[str, tuple[dict[str, Any], str]] = {
    "newer": ({"format_version": FORMAT_VERSION + 1}, "newer visionkit .* Update"),
    "first": ({"format_version": 1}, "format 1, which was never"),
    "no version": ({"format_version": "two"}, "format_version: "),
    "task": ({"task": "poetry"}, "task: "),
    "no such network": ({"network__arch": "resnet19"}, "network.arch: .* no architecture 'resnet19'"),
    "network of a hub": ({"network__arch": "hf-hub:a/b", "network__library": "timm"}, "no architecture"),
    "other library": ({"network__arch": "os.system", "network__library": "os"}, "network.*library"),
    "bomb of outputs": ({"network__outputs": 10**9}, "network.*outputs: "),
    "bomb of a head": ({"network__head__4__inputs": 10**7, "network__head__4__outputs": 10**7}, "shape"),
    "head of nothing": ({"network__head": []}, "network.*head: "),
    "half a layer": ({"network__head__4": {"layer": "linear", "inputs": 3}}, "has inputs and outputs"),
    "names": ({"vocab": ["a", "b"]}, "outputs: 8 for 2 names"),
    "name": ({"vocab__0": 3}, "vocab.0: "),
    "long name": ({"vocab__0": "x" * 10**6}, "vocab.0: "),
    "large image": ({"preprocessing__steps__0__width": 10**9}, "steps.0.*width: "),
    "large images": ({"input_size": [16384, 16384]}, "16384x16384 pixels are too large"),
    "no step": ({"preprocessing__steps": []}, "steps: "),
    "order of steps": ({"preprocessing__steps": [{"step": "interpolate"}]}, "one to-tensor"),
    "two means": ({"preprocessing__steps__5__mean": [0.1, 0.1]}, "mean: "),
    "grey": ({"preprocessing": {"mode": "L", "steps": [{"step": "to-tensor"}]}}, "normalised at the end"),
    "unknown step": ({"preprocessing__steps__0__step": "exec"}, "steps.0: "),
    "no deviation": ({"preprocessing__steps__5__std": [0.0, 0.0, 0.0]}, r"std\.0: "),
    "infinite": ({"preprocessing__steps__5__mean": [1e999, 0.0, 0.0]}, "."),
    "temperature": ({"temperature": -1.0}, "temperature: "),
    "thresholds": ({"thresholds": [0.5]}, "thresholds: 1 for 8"),
    "activation": ({"activation": "sigmoid"}, "activation: single-label goes with softmax"),
    "other weights": ({"weights__sha256": "0" * 64}, "SHA-256"),
    "shorter weights": ({"weights__bytes": 100}, "bytes and was written with 100"),
}  # fmt: skip


@pytest.mark.parametrize("fault", BAD_FIELDS)
def test_fields_that_cannot_be(labels: Path, fault: str) -> None:
    changes, words = BAD_FIELDS[fault]
    changed(labels, **changes)
    assert re.search(words, refusal(labels))


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b'{"format_version": 2}', b"\xff\xfe", b"[" * 200_000, b'{"a":' * 100_000,
     b'{"format_version": ' + b"9" * 10_000 + b"}", b'{"format_version": NaN}', b"\x00" * 1000],
)  # fmt: skip
def test_files_that_are_no_description(labels: Path, content: bytes) -> None:
    (labels / DESCRIPTION_FILE).write_bytes(content)
    assert DESCRIPTION_FILE in refusal(labels)


@pytest.mark.parametrize("name", [DESCRIPTION_FILE, WEIGHTS_FILE])
@pytest.mark.parametrize("kind", ["missing", "folder", "pipe", "empty", "loop", "device", "truncated"])
def test_files_that_are_no_files(labels: Path, name: str, kind: str) -> None:
    path = labels / name
    whole = path.read_bytes()
    path.unlink()
    match kind:
        case "folder":
            path.mkdir()
        case "pipe":
            os.mkfifo(path)
        case "empty":
            path.touch()
        case "loop":
            path.symlink_to(name)
        case "device":
            path.symlink_to("/dev/zero")
        case "truncated":
            path.write_bytes(whole[: len(whole) // 2])
    assert name in refusal(labels)


def test_links_to_files_are_followed(labels: Path) -> None:
    """Hugging Face's cache consists of them."""
    for name in (DESCRIPTION_FILE, WEIGHTS_FILE):
        (labels / name).rename(labels / f"{name}.blob")
        (labels / name).symlink_to(f"{name}.blob")
    assert visionkit.load(labels, device="cpu").task == "single-label"


def rewritten(folder: Path, state: dict[str, torch.Tensor]) -> None:
    """Other weights, with a description that names them."""
    write_description(folder, read_description(folder).replaced(weights=write_weights(folder, dict(state))))


def test_weights_of_another_network(labels: Path) -> None:
    state = load_file(labels / WEIGHTS_FILE)
    name = next(name for name, value in state.items() if value.ndim == 4)
    rewritten(labels, {key: value for key, value in state.items() if key != name})
    assert f"the tensor {name} is missing" in refusal(labels)
    rewritten(labels, {**state, "more": torch.zeros(3)})
    assert "'more' is not one of this network's" in refusal(labels)
    rewritten(labels, {**state, name: torch.zeros(3, 3)})
    assert f"{name} has the shape [3, 3]" in refusal(labels)
    rewritten(labels, {**state, name: torch.zeros_like(state[name], dtype=torch.int32)})
    assert f"{name} holds torch.int32" in refusal(labels)
    rewritten(labels, {**state, "more": torch.zeros(40_000_000)})
    assert "bytes are too many" in refusal(labels)


def test_weights_that_give_no_numbers(labels: Path) -> None:
    state = load_file(labels / WEIGHTS_FILE)
    rewritten(labels, {name: value * float("nan") if value.is_floating_point() else value
                       for name, value in state.items()})  # fmt: skip
    model = visionkit.load(labels, device="cpu")
    with pytest.raises(VisionkitError, match=r"model\.safetensors: gives no numbers"):
        model.predict(images(labels)[0])


def test_a_kill_between_the_two_files_leaves_no_false_pair(labels: Path) -> None:
    """New weights beside the old description."""
    state = load_file(labels / WEIGHTS_FILE)
    save_file({name: value + 1 for name, value in state.items()}, labels / WEIGHTS_FILE)
    assert "SHA-256" in refusal(labels)


def test_places_without_a_model(tmp_path: Path, labels: Path) -> None:
    assert "there is no such file" in refusal(tmp_path / "none")
    run = tmp_path / "run"
    run.mkdir()
    (run / "run.json").write_text(json.dumps({"name": "run", "status": "failed", "metrics": {}}))
    assert "the run is failed and has no model" in refusal(run)
    labels.rename(run / "model")
    for place in (run, run / "model", run / "model" / DESCRIPTION_FILE, visionkit.Run.read(run)):
        assert visionkit.load(place, device="cpu").description.recipe == "pets"
    with pytest.raises(VisionkitError, match="--device"):
        visionkit.load(run, device="abacus")


def parts(content: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything in a JSON document."""
    yield path
    if isinstance(content, dict | list):
        for key, value in content.items() if isinstance(content, dict) else enumerate(content):
            yield from parts(value, (*path, key))


VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(10**12), 10**12),
    st.floats(),
    st.text(max_size=20),
    st.sampled_from([[], {}, [[]], "resnet18", "timm", "unet", 0, -1, 2**31, 1e308, "../x", "\x00"]),
)


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_the_description_loads_or_is_one_message(
    kept: dict[str, Path], data: st.DataObject
) -> None:
    folder = kept[data.draw(st.sampled_from(TASKS))]
    content = json.loads((folder / DESCRIPTION_FILE).read_text())
    mutated = copy.deepcopy(content)
    for _ in range(data.draw(st.integers(1, 2))):
        *places, last = data.draw(st.sampled_from(list(parts(mutated))[1:]))
        part = mutated
        for place in places:
            part = part[place]
        if data.draw(st.booleans()):
            part[last] = data.draw(VALUES)
        else:
            del part[last]
    attempt(folder, folder / WEIGHTS_FILE, json.dumps(mutated).encode())


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_any_change_of_the_bytes_loads_or_is_one_message(kept: dict[str, Path], data: st.DataObject) -> None:
    """Of the description, and of the weights with a description that names them."""
    folder = kept["single-label"]
    name = data.draw(st.sampled_from([DESCRIPTION_FILE, WEIGHTS_FILE]))
    content = bytearray((folder / name).read_bytes())
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.integers(0, min(len(content) - 1, 9000)))
        replacement = data.draw(st.binary(max_size=8))
        content[place : place + data.draw(st.integers(0, 8))] = replacement
    if name == DESCRIPTION_FILE:
        attempt(folder, folder / WEIGHTS_FILE, bytes(content))
        return
    weights = {"sha256": sha256(content).hexdigest(), "bytes": len(content)}
    description = {**json.loads((folder / DESCRIPTION_FILE).read_text()), "weights": weights}
    changed_file = folder.parent / "changed.safetensors"
    changed_file.write_bytes(content)
    attempt(folder, changed_file, json.dumps(description).encode())


def attempt(folder: Path, weights: Path, description: bytes) -> None:
    """Load and predict: an answer, or one message."""
    place = folder.parent / "attempt"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    (place / DESCRIPTION_FILE).write_bytes(description)
    os.link(weights, place / WEIGHTS_FILE)
    try:
        model = visionkit.load(place, device="cpu")
        if model.description.input_size[0] * model.description.input_size[1] < 100_000:
            model.predict(folder / "0.png")
    except VisionkitError as error:
        if "\n" in str(error):
            raise


def test_the_description_of_a_newer_minor_version_survives_a_round_trip(kept: dict[str, Path]) -> None:
    for folder in kept.values():
        text = (folder / DESCRIPTION_FILE).read_text()
        description = parse_description(text, "model.json")
        assert json.loads(description.model_dump_json()) == json.loads(text)
