"""`visionkit export --to onnx` and `--to pt2`: the files answer as the model does, in other programs too."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from conftest import FAST, Cli, train_fast
from PIL import Image

import visionkit

pytestmark = pytest.mark.usefixtures("unpainted")


def session(path: str | Path) -> Any:
    return onnxruntime.InferenceSession(str(path))


def pixels(path: Path) -> np.ndarray:
    return np.asarray(Image.open(path).convert("RGB"))[None]


def validation_images(run: str = "run") -> list[Path]:
    folder = Path(json.loads(Path(run, "run.json").read_text())["data"]["path"])
    with open(f"{run}/split.csv", newline="") as file:
        return [folder / row["image"] for row in csv.DictReader(file) if row["part"] == "valid"]


def recorded(path: str, run: str = "run") -> dict[str, Any]:
    (entry,) = (
        each for each in json.loads(Path(run, "run.json").read_text())["exports"] if each["path"] == path
    )
    return dict(entry)


def leftovers(folder: Path) -> list[str]:
    return [each.name for each in folder.rglob(".*")]


def done(result: Any) -> str:
    assert result.exit_code == 0, result.output
    assert "Traceback" not in result.output
    return str(result.stdout)


@pytest.mark.slow
def test_labels(cli: Cli, pets: Path) -> None:
    done(train_fast(cli, "pets", pets, "--arch", "resnet18", "--out", "run"))
    said = done(cli("export", "run", "--to", "onnx"))
    assert "same answers" in said and said.splitlines()[-1] == "run/export/model.onnx"
    entry = recorded("export/model.onnx")
    assert entry["network"]["max_difference"] < 1e-4 and entry["network"]["same_answers"] == 1
    assert entry["images"] == len(validation_images()) and entry["images_per_s"]["ONNX fp32"] > 0

    model, graph = visionkit.load("run", device="cpu"), session("run/export/model.onnx")
    assert [each.name for each in graph.get_inputs()] == ["image"]
    for image in validation_images():
        (found,) = graph.run(["probabilities"], {"image": pixels(image)})
        np.testing.assert_allclose(found[0], model.predict(image).probabilities, atol=5e-3)
    together = np.concatenate([pixels(validation_images()[0])] * 3)
    (three,) = graph.run(None, {"image": together})
    (one,) = graph.run(None, {"image": together[:1]})
    np.testing.assert_allclose(three, np.repeat(one, 3, axis=0), atol=1e-5)

    again = visionkit.load("run/export/model.onnx")
    assert (again.task, again.vocab) == (model.task, model.vocab)
    ours, theirs = (each.predict(validation_images()) for each in (model, again))
    assert [each.label for each in ours] == [each.label for each in theirs]
    for one_answer, other in zip(ours, theirs):
        np.testing.assert_allclose(one_answer.probabilities, other.probabilities, atol=1e-5)
    answer = done(cli("predict", "run/export/model.onnx", validation_images()[0], "--json"))
    assert validation_images()[0].name in answer and ours[0].label in answer
    figures = [
        json.loads(done(cli("evaluate", each, "--json", "--no-save")))["figures"]
        for each in ("run", "run/export/model.onnx")
    ]
    assert figures[0]["accuracy"]["value"] == figures[1]["accuracy"]["value"]
    result = cli("evaluate", "run/export/model.onnx", "--calibrate")
    assert result.exit_code == 2 and "cannot be changed" in result.output

    before = Path("run/export/model.onnx").read_bytes()
    result = cli("export", "run", "--to", "onnx")
    assert result.exit_code == 2 and "is there already" in result.output
    result = cli("export", "run", "--to", "onnx", "--out", "new/m.onnx", "--tolerance", "1e-12")
    assert result.exit_code == 1 and "--tolerance" in result.output, result.output
    assert "Measured: " in result.output and "100.00% of the answers the same" in result.output
    assert not Path("new/m.onnx").exists() and not leftovers(Path("new"))
    assert Path("run/export/model.onnx").read_bytes() == before and not leftovers(Path("run"))

    Path("damaged.onnx").write_bytes(before[: len(before) // 2])
    result = cli("predict", "damaged.onnx", validation_images()[0])
    assert result.exit_code == 1 and "damaged.onnx: cannot be read as ONNX" in result.output
    assert "Traceback" not in result.output


@pytest.mark.slow
def test_tags_in_16_and_8_bits(cli: Cli, planet: Path) -> None:
    done(train_fast(cli, "planet", planet, "--out", "run"))
    sizes = {"fp32": Path("run/model/model.safetensors").stat().st_size}
    for precision in ("fp16", "int8"):
        said = done(cli("export", "run", "--to", "onnx", "--precision", precision, "--same", "0.5"))
        path = Path(said.splitlines()[-1])
        sizes[precision] = path.stat().st_size
        model = visionkit.load(path)
        assert model.description.thresholds == visionkit.load("run").description.thresholds
        (found,) = session(path).run(None, {"image": pixels(validation_images()[0])})
        assert found.shape == (1, len(model.vocab)) and ((found >= 0) & (found <= 1)).all()
        assert "f2" in said and "ONNX fp32" in said and f"ONNX {precision}" in said
        assert set(recorded(f"export/{path.name}")["f2"]) == {"PyTorch", "ONNX fp32", f"ONNX {precision}"}
    assert sizes["fp16"] < 0.6 * sizes["fp32"] and sizes["int8"] < 0.35 * sizes["fp32"]
    half = recorded("export/model-fp16.onnx")["network"]["max_difference"]
    assert 0 < half < 0.02

    done(cli("export", "run", "--to", "pt2"))
    program = torch.export.load("run/export/model.pt2").module()
    expected = visionkit.load("run", device="cpu").predict(validation_images()[0])
    (found,) = program(torch.from_numpy(pixels(validation_images()[0]).copy()))
    np.testing.assert_allclose(found[0].detach().numpy(), expected.probabilities, atol=5e-3)


@pytest.mark.slow
def test_masks(cli: Cli, camvid: Path) -> None:
    done(train_fast(cli, "camvid", camvid, "--arch", "small_vgg", "--size", "36", "--out", "run"))
    model = visionkit.load("run", device="cpu")
    done(cli("export", "run", "--to", "onnx"))
    image = validation_images()[0]
    mask, _ = session("run/export/model.onnx").run(["mask", "probabilities"], {"image": pixels(image)})
    assert mask.dtype == np.int16 and mask.shape == (1, 36, 48)
    assert (mask[0] == model.predict(image).codes).mean() > 0.99
    larger = np.asarray(Image.open(image).convert("RGB").resize((99, 81)))[None]
    assert session("run/export/model.onnx").run(["mask"], {"image": larger})[0].shape == (1, 81, 99)

    done(cli("export", "run", "--to", "onnx", "--preprocessing", "outside"))
    said = json.loads(Path("run/export/model-outside.json").read_text())
    assert said["preprocessing"]["steps"][-1]["step"] == "normalise" and said["vocab"] == list(model.vocab)
    outside = session("run/export/model-outside.onnx")
    for height, width in ((36, 48), (64, 96), (51, 77)):
        images = torch.randn(3, 3, height, width)
        mask, probabilities = outside.run(["mask", "probabilities"], {"input": images.numpy()})
        expected = model.activations(model.outputs(images)).numpy()
        np.testing.assert_allclose(probabilities, expected, atol=1e-4)
        assert mask.shape == (3, height, width)
    again = visionkit.load("run/export/model-outside.onnx")
    assert (again.predict(image).codes == model.predict(image).codes).mean() > 0.999


@pytest.mark.slow
def test_points(cli: Cli, heads: Path) -> None:
    done(cli("headpose", "--data", heads, "--size", "48", *FAST, "--out", "run"))
    model = visionkit.load("run", device="cpu")
    done(cli("export", "run", "--to", "onnx"))
    done(cli("export", "run", "--to", "pt2", "--preprocessing", "outside"))
    image = validation_images()[0]
    (points,) = session("run/export/model.onnx").run(["points"], {"image": pixels(image)})
    expected = model.predict(image).points
    assert points.shape == (1, *expected.shape) and np.abs(points[0] - expected).max() < 0.5
    again = visionkit.load("run/export/model.onnx").predict(image).points
    np.testing.assert_allclose(again, expected, atol=1e-3)
    (inner,) = torch.export.load("run/export/model-outside.pt2").module()(model.preprocess(image)[None])
    assert inner.abs().max() <= 1


@pytest.mark.slow
def test_bundles_and_bad_input(cli: Cli, pets: Path) -> None:
    done(train_fast(cli, "pets", pets, "--arch", "small_vgg", "--out", "run"))
    for options, words in {
        ("--to", "tflite"): "tflite",
        ("--to", "pt2", "--precision", "fp16"): "onnx only",
        ("--to", "safetensors", "--preprocessing", "outside"): "--preprocessing",
        ("--to", "fastai", "--tolerance", "1"): "--tolerance",
        ("--to", "onnx", "--out", "model.bin"): ".onnx",
        ("--to", "onnx", "--same", "99"): "from 0 to 1",
        ("--to", "onnx", "--tolerance", "nan"): "0 or more",
        ("--to", "onnx", "--data", "nowhere"): "--data nowhere",
    }.items():
        result = cli("export", "run", *options)
        assert result.exit_code == 2 and words in result.output, result.output
        assert "Traceback" not in result.output
    assert not list(Path("run").glob("export/*"))

    moved = pets.rename(pets.with_name("elsewhere"))
    result = cli("export", "run", "--to", "onnx")
    assert result.exit_code == 1 and "--data" in result.output and "no longer there" in result.output
    result = cli("export", "run/model", "--to", "onnx", "--out", "m.onnx")
    assert result.exit_code == 2 and "--data" in result.output
    done(cli("export", "run/model", "--to", "onnx", "--out", "m.onnx", "--data", moved))
    assert visionkit.load("m.onnx").vocab == visionkit.load("run").vocab
    result = cli("evaluate", "m.onnx")
    assert result.exit_code == 2 and "no run folder" in result.output

    done(cli("export", "run", "--to", "safetensors"))
    assert visionkit.load("run/export/bundle").vocab == visionkit.load("run").vocab
    result = cli("export", "run", "--to", "safetensors")
    assert result.exit_code == 2 and "is there already" in result.output

    info = json.loads(Path("run/run.json").read_text())
    Path("unfinished").mkdir()
    Path("unfinished/run.json").write_text(json.dumps({**info, "status": "interrupted"}))
    result = cli("export", "unfinished", "--to", "onnx")
    assert result.exit_code == 1 and "interrupted" in result.output


@pytest.mark.slow
@pytest.mark.parametrize(("arch", "size"), [("convnext_tiny", 64), ("vit_b_32", 224), ("resnet50", 64)])
def test_larger_bodies(cli: Cli, pets: Path, arch: str, size: int) -> None:
    options = ["--size", size, "--then", "", *FAST, "--arch", arch]
    done(cli("pets", "--data", pets, *options, "--out", "run"))
    for form in ("onnx", "pt2"):
        done(cli("export", "run", "--to", form))
        entry = recorded(f"export/model.{form}")
        assert entry["network"]["max_difference"] < 1e-4 and entry["network"]["same_answers"] == 1
    done(cli("export", "run", "--to", "onnx", "--precision", "int8", "--same", "0", "--tolerance", "1"))


@pytest.mark.slow
@pytest.mark.parametrize("arch", ["squeezenet1_1", "mobilenet_v2", "resnet18"])
def test_other_masks(cli: Cli, camvid: Path, arch: str) -> None:
    done(train_fast(cli, "camvid", camvid, "--arch", arch, "--size", "36", "--out", "run"))
    done(cli("export", "run", "--to", "pt2", "--preprocessing", "outside"))
    done(cli("export", "run", "--to", "onnx"))
    model = visionkit.load("run", device="cpu")
    images = torch.randn(1, 3, 75, 90)
    _, found = torch.export.load("run/export/model-outside.pt2").module()(images)
    with torch.inference_mode():
        expected = model.activations(model.model(images))
    torch.testing.assert_close(found, expected, atol=1e-5, rtol=0)
    # predictions fold batch normalisation, and a network this raw makes much of rounding
    torch.testing.assert_close(found, model.activations(model.outputs(images)), atol=1e-3, rtol=0)
