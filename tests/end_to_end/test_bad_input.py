"""Bad input ends in one message that names what is wrong, with exit code 1 or 2, and leaves nothing
behind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from conftest import FAST, Cli, noise, train_fast
from PIL import Image

Spoil = Callable[[Path], None]


def _remove_images(folder: Path) -> None:
    for file in (folder / "images").iterdir():
        file.unlink()


def _keep_one_class(folder: Path) -> None:
    for file in (folder / "images").iterdir():
        if not file.name.startswith("Sphynx"):
            file.unlink()


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _edit(name: str, old: str, new: str) -> Spoil:
    def edit(folder: Path) -> None:
        file = folder / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new, 1))

    return edit


def _mask(picture: Image.Image) -> Spoil:
    return lambda folder: picture.save(folder / "labels" / "frame_3_P.png")


def _one_tag(folder: Path) -> None:
    lines = (folder / "train_v2.csv").read_text().split()
    names = [line.split(",")[0] for line in lines if line.startswith("train_")]
    (folder / "train_v2.csv").write_text("image_name,tags\n" + "".join(f"{name},clear\n" for name in names))


CASES: list[tuple[str, str, Spoil, list[str]]] = [
    ("pets", "folder without images", _remove_images, ["images", "no images"]),
    ("pets", "one class only", _keep_one_class, ["Sphynx", "two classes"]),
    (
        "pets",
        "image that does not decode",
        lambda folder: _truncate(folder / "images/Sphynx_3.jpg"),
        ["Sphynx_3.jpg"],
    ),
    (
        "pets",
        "empty file",
        lambda folder: (folder / "images/Sphynx_3.jpg").write_bytes(b""),
        ["Sphynx_3.jpg", "empty"],
    ),
    (
        "pets",
        "name without a number",
        lambda folder: (folder / "images/Sphynx_3.jpg").rename(folder / "images/Sphynx.jpg"),
        ["Sphynx.jpg", "label"],
    ),
    ("planet", "no table", lambda folder: (folder / "train_v2.csv").unlink(), ["labels.csv", "no such file"]),
    ("planet", "without the column", _edit("train_v2.csv", "tags", "labels"), ["train_v2.csv", "'tags'"]),
    (
        "planet",
        "empty tag list",
        _edit("train_v2.csv", "train_4,haze primary", "train_4, "),
        ["row 6", "train_4", "no tags"],
    ),
    (
        "planet",
        "row without image",
        lambda folder: (folder / "train-jpg/train_4.jpg").unlink(),
        ["row 6", "train_4", "no image"],
    ),
    (
        "planet",
        "image without row",
        lambda folder: Image.fromarray(noise(1, 40, 40)).save(folder / "train-jpg/extra.jpg"),
        ["extra.jpg", "no row"],
    ),
    ("planet", "one tag only", _one_tag, ["'clear'", "two are needed"]),
    (
        "camvid",
        "unknown validation file",
        _edit("valid.txt", "frame_8", "frame_88"),
        ["valid.txt", "frame_88.png"],
    ),
    ("camvid", "no codes", lambda folder: (folder / "codes.txt").unlink(), ["codes.txt"]),
    ("camvid", "missing mask", lambda folder: (folder / "labels/frame_3_P.png").unlink(), ["frame_3_P.png"]),
    (
        "camvid",
        "mask of another size",
        _mask(Image.fromarray(np.zeros((30, 48), dtype=np.uint8))),
        ["frame_3_P.png", "48x30", "48x36"],
    ),
    (
        "camvid",
        "code without a name",
        _mask(Image.fromarray(np.full((36, 48), 9, dtype=np.uint8))),
        ["frame_3_P.png", "does not name (9)"],
    ),
    (
        "camvid",
        "mask in colours",
        _mask(Image.fromarray(noise(1, 48, 36))),
        ["frame_3_P.png", "RGB", "index mask"],
    ),
]


@pytest.mark.parametrize(
    ("recipe", "spoil", "named"), [pytest.param(r, s, n, id=f"{r}, {i}") for r, i, s, n in CASES]
)
def test_bad_data(
    cli: Cli, request: pytest.FixtureRequest, recipe: str, spoil: Spoil, named: list[str]
) -> None:
    folder = request.getfixturevalue(recipe)
    spoil(folder)
    files = sorted(folder.rglob("*"))
    result = train_fast(cli, recipe, folder)
    assert_refused(result, named)
    assert sorted(folder.rglob("*")) == files
    assert not list(Path().iterdir()), "no run folder for a training that did not start"


OPTIONS: list[tuple[list[object], list[str]]] = [
    (["--size", 0], ["--size", "'0'", "greater than or equal to 1"]),
    (["--size", "big"], ["--size", "'big'", "integer"]),
    (["--sizes", 64], ["--sizes", "--size"]),
    (["--then", "64,none"], ["--then", "integer"]),
    (["--lr", -1], ["--lr", "greater than 0"]),
    (["--epochs", "2,3"], ["epochs", "3 numbers (1, 2, 3)", "1 size (32)"]),
    (["--arch", "resnet43"], ["resnet43", "resnet34"]),
    (["--arch", "vit_b_32"], ["vit_b_32", "224 px only", "32"]),
    (["--device", "cuda:7"], ["--device", "cuda:7"]),
    (["--precision", "fp16", "--device", "cpu"], ["--precision", "fp16", "GPU"]),
    (["--precision", "fp8"], ["--precision", "'fp8'", "bf16"]),
    (["--weights", "nowhere.pth"], ["--weights", "nowhere.pth", "no such file"]),
    (["--weights", __file__], ["--weights", "not a state dict"]),
    (["--sample"], ["--data", "--sample"]),
    (["--settings", "nowhere.ini"], ["nowhere.ini"]),
]


@pytest.mark.parametrize(("options", "named"), OPTIONS, ids=lambda value: " ".join(map(str, value))[-60:])
def test_bad_options(cli: Cli, pets: Path, options: list[object], named: list[str]) -> None:
    result = train_fast(cli, "pets", pets, *options)
    assert_refused(result, named, codes=(2,))
    assert not list(Path().iterdir())


def test_no_epoch_to_train(cli: Cli, pets: Path) -> None:
    none = ["--epochs", 0, "--freeze-epochs", 0, "--no-pretrained"]
    assert_refused(cli("pets", "--data", pets, *none), ["--epochs", "no epoch"], codes=(2,))
    assert not list(Path().iterdir())


def test_no_such_folder(cli: Cli) -> None:
    assert_refused(cli("pets", "--data", "nowhere", *FAST), ["nowhere", "no such folder"])


@pytest.mark.parametrize("name", ["pest", "nowhere.py"])
def test_no_such_recipe(cli: Cli, name: str) -> None:
    assert_refused(cli(name, "--sample"), [name], codes=(2,))


def test_file_without_recipe(cli: Cli) -> None:
    Path("mine.py").write_text("print('hello')\n")
    assert_refused(cli("mine.py", "--sample"), ["mine.py", "recipe = Recipe("], codes=(2,))


def test_weights_of_another_network(cli: Cli, pets: Path, tmp_path: Path) -> None:
    import torch

    torch.save({"a.weight": torch.zeros(2)}, tmp_path / "other.pth")
    result = train_fast(cli, "pets", pets, "--weights", tmp_path / "other.pth")
    assert_refused(result, ["other.pth", "no tensor", "squeezenet1_1"])
    assert not list(Path().iterdir())


def test_pickle_as_weights_is_not_run(cli: Cli, pets: Path, tmp_path: Path) -> None:
    import torch

    torch.save({"code": Path("x")}, tmp_path / "evil.pth")
    assert_refused(
        train_fast(cli, "pets", pets, "--weights", tmp_path / "evil.pth"), ["evil.pth", "not a state dict"]
    )


def test_weights_that_cannot_be_downloaded(
    cli: Cli, pets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    for name in ("http_proxy", "https_proxy", "HTTPS_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    result = cli("pets", "--data", pets, "--size", 32, "--arch", "squeezenet1_1", "--workers", 0)
    assert_refused(result, ["squeezenet1_1", "--weights FILE", "--no-pretrained"], codes=(1,))


@pytest.mark.parametrize("content", ["a file", "a folder", "a run"])
def test_out_that_is_there_already(cli: Cli, pets: Path, tmp_path: Path, content: str) -> None:
    out = tmp_path / "out"
    if content == "a file":
        out.write_text("mine")
    else:
        out.mkdir()
        (out / ("run.json" if content == "a run" else "notes.txt")).write_text("{}")
    before = {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")}
    assert_refused(train_fast(cli, "pets", pets, "--out", out), ["--out", "nothing was touched"], codes=(2,))
    assert {file: file.stat().st_mtime_ns for file in tmp_path.rglob("*")} == before


@pytest.mark.parametrize("command", [["plot"], ["export"]])
def test_no_such_run(cli: Cli, command: list[str], tmp_path: Path) -> None:
    assert_refused(cli(*command, "last"), ["no run in runs"], codes=(2,))
    assert_refused(cli(*command, "pets-1"), ["pets-1"], codes=(2,))
    assert_refused(cli(*command, tmp_path), ["not a run folder"], codes=(2,))


def test_batch_larger_than_the_training_set(cli: Cli, pets: Path) -> None:
    """fastai alone would train on nothing, without a word."""
    result = train_fast(cli, "pets", pets, "--bs", 500)
    assert result.exit_code == 0 and "batches of 20" in result.output, result.output


def assert_refused(result: object, named: list[str], codes: tuple[int, ...] = (1, 2)) -> None:
    output = " ".join(result.output.split())  # type: ignore[attr-defined]
    assert result.exit_code in codes, output  # type: ignore[attr-defined]
    assert "Traceback" not in output
    for word in named:
        assert word in output, f"{word!r} is not in: {output}"
