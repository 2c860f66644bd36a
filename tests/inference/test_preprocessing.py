"""Preprocessing without fastai gives what the DataLoaders of a training give their network in validation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import fastai.vision.all as fv
import numpy as np
import pytest
import torch
from conftest import noise
from fastai.vision import augment
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor

from visionkit.data.points import KeypointBlock, visible_windows
from visionkit.errors import DataError
from visionkit.inference.capture import capture_steps, validation_inputs
from visionkit.inference.description import Steps
from visionkit.inference.preprocessing import Preprocessing

TOLERANCE = 5e-5
"""fastai's places between pixels are rounded, which noise shows most; a step of 8 bits is 0.016."""
STATS = fv.Normalize.from_stats([0.5, 0.4, 0.3], [0.2, 0.25, 0.3])
SIZES = [(64, 48), (48, 64), (50, 50), (97, 33), (20, 15), (300, 200), (31, 200)]
PIPELINES: dict[str, tuple[Any, list[Any]]] = {
    "planet": (lambda: fv.Resize(32), fv.aug_transforms(flip_vert=True, max_warp=0.0)),
    "pets": (lambda: fv.Resize(64), fv.aug_transforms(size=32, min_scale=0.75)),
    "pets, presized far": (lambda: fv.Resize(150), fv.aug_transforms(size=40, min_scale=0.75)),
    "fashionai": (
        lambda: fv.Resize(37, method="pad", pad_mode="border"),
        fv.aug_transforms(size=32, min_scale=0.75),
    ),
    "camvid": (lambda: fv.Resize((36, 48), method="squish"), fv.aug_transforms()),
    "headpose": (lambda: fv.Resize((45, 60), method="squish"), fv.aug_transforms(pad_mode="zeros")),
    "pad with reflection": (lambda: fv.Resize((30, 50), method="pad"), []),
    "pad with zeros": (lambda: fv.Resize(48, method="pad", pad_mode="zeros"), []),
    "size of a batch": (lambda: fv.Resize(48), fv.aug_transforms(size=(24, 40))),
    "random crop of items": (lambda: fv.RandomResizedCrop(40), []),
    "wide batch": (
        lambda: fv.Resize((30, 80), method="squish"),
        [augment.RandomResizedCropGPU(24, valid_scale=0.9)],
    ),
    "crop without resizing": (lambda: fv.CropPad(40, pad_mode="border"), []),
    "random crop": (lambda: fv.RandomCrop((33, 41)), [augment.Brightness()]),
    "other resampling": (
        lambda: fv.Resize(32, resamples=(Image.Resampling.LANCZOS, Image.Resampling.NEAREST)),
        [],
    ),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of several sizes, modes and formats, one of them to be turned by its EXIF mark."""
    place = tmp_path_factory.mktemp("images")
    for number, (width, height) in enumerate(SIZES):
        Image.fromarray(noise(number, width, height)).save(place / f"{number}.png")
    picture = Image.fromarray(noise(99, 60, 40))
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(place / "turned.jpg", exif=exif)
    picture.convert("CMYK").save(place / "cmyk.jpg")
    picture.convert("L").save(place / "grey.png")
    picture.quantize(16).save(place / "palette.gif")
    layer = picture.convert("RGBA")
    layer.putalpha(128)
    layer.save(place / "layer.png")
    return place


def loaders(folder: Path, item: Any, batch: list[Any], block: Any = fv.ImageBlock) -> Any:
    return fv.DataBlock(
        blocks=(block, fv.CategoryBlock(vocab=["a"])),
        get_items=lambda place: sorted(place.iterdir()),
        get_y=lambda path: "a",
        splitter=lambda items: ([0, 1], list(range(len(items)))),
        item_tfms=item,
        batch_tfms=[*batch, STATS],
    ).dataloaders(folder, bs=2, num_workers=0, device=torch.device("cpu"))


def inputs(dls: Any) -> tuple[Preprocessing, Tensor]:
    """The preprocessing that is captured, through JSON, and what `dls` themselves make of all images."""
    steps, unknown = capture_steps(dls)
    assert not unknown
    images = torch.cat([batch[0].as_subclass(Tensor) for batch in dls.valid])
    return Preprocessing(Steps.model_validate_json(steps.model_dump_json()), images.shape[-2:]), images


@pytest.mark.parametrize("name", PIPELINES)
def test_equal_to_the_validation_of_fastai(folder: Path, name: str) -> None:
    item, batch = PIPELINES[name]
    preprocessing, images = inputs(loaders(folder, item(), batch))
    for path, expected in zip(sorted(folder.iterdir()), images, strict=True):
        found = preprocessing(path)
        assert type(found) is Tensor and found.dtype == torch.float32
        assert found.shape == expected.shape
        assert (found - expected).abs().max() <= TOLERANCE, path.name


def test_shades_of_grey(folder: Path) -> None:
    preprocessing, images = inputs(loaders(folder, fv.Resize(24), [], fv.ImageBlock(fv.PILImageBW)))
    assert preprocessing.steps.mode == "L"
    for path, expected in zip(sorted(folder.iterdir()), images, strict=True):
        assert (preprocessing(path) - expected).abs().max() <= TOLERANCE, path.name


def test_inputs_of_some_images(folder: Path) -> None:
    dls = loaders(folder, fv.Resize(24), fv.aug_transforms())
    _, images = inputs(dls)
    assert torch.equal(validation_inputs(dls, [3, 0, 5]), images[[3, 0, 5]])


def test_pictures_are_taken_like_files(folder: Path) -> None:
    preprocessing, _ = inputs(loaders(folder, fv.Resize(24), []))
    for path in folder.iterdir():
        with Image.open(path) as opened:
            assert torch.equal(preprocessing(opened), preprocessing(path))


class Inverted(fv.Transform):
    def encodes(self, image: fv.PILImage) -> Any:
        return fv.PILImage.create(255 - np.asarray(image))


def test_what_is_not_known_is_named(folder: Path) -> None:
    _, unknown = capture_steps(loaders(folder, [Inverted(), fv.Resize(24)], []))
    assert unknown == ["Inverted"]


@settings(max_examples=150, deadline=None)
@given(
    width=st.integers(1, 150),
    height=st.integers(1, 150),
    to=st.tuples(st.integers(1, 60), st.integers(1, 60)),
    method=st.sampled_from(["crop", "squish", "pad"]),
    pad_mode=st.sampled_from(["zeros", "border", "reflection"]),
)
def test_resizing_of_any_size(
    width: int, height: int, to: tuple[int, int], method: str, pad_mode: str
) -> None:
    """To the bit what fastai's Resize gives in validation, where that leaves a pixel of the image."""
    scale = (max if method == "pad" else min)(width / to[1], height / to[0])
    assume(method == "squish" or (int(scale * to[1]) and int(scale * to[0])))
    picture = Image.fromarray(noise(width * 200 + height, width, height))
    resize = fv.Resize(to, method=method, pad_mode=pad_mode)
    expected = np.asarray(resize(fv.PILImage.create(np.asarray(picture)), split_idx=1))
    step = {"step": "resize", "width": to[1], "height": to[0], "method": method, "pad_mode": pad_mode}
    steps = Steps.model_validate({"steps": [step, {"step": "to-tensor", "divisor": 1.0}]})
    found = Preprocessing(steps, to)(picture)
    assert np.array_equal(found.permute(1, 2, 0).numpy(), expected)


@pytest.mark.parametrize("resize", ["crop", "squish", "pad"])
def test_windows_are_those_of_training(folder: Path, resize: str) -> None:
    dls = fv.DataBlock(
        blocks=(fv.ImageBlock, KeypointBlock(["corner"])),
        get_items=lambda place: sorted(place.iterdir()),
        get_y=lambda path: [(0.0, 0.0)],
        item_tfms=fv.Resize((32, 40), method=resize),
    ).dataloaders(folder, bs=2, num_workers=0, device=torch.device("cpu"))
    preprocessing, _ = inputs(dls)
    theirs = visible_windows(dls, SIZES)
    for size, origin, span in zip(SIZES, theirs.origin, theirs.span, strict=True):
        window = preprocessing.window(*size)
        assert (window.left, window.top) == pytest.approx(tuple(origin), abs=1e-3)
        assert (window.width, window.height) == pytest.approx(tuple(span), rel=1e-4)


def test_the_window_of_a_crop_in_two_steps() -> None:
    """A square from the middle of 300x200, of which the batch transform takes 80 %."""
    steps = Steps.model_validate(
        {
            "steps": [
                {"step": "resize", "width": 100, "height": 100, "method": "crop"},
                {"step": "to-tensor"},
                {"step": "ratio-crop", "ratio": [1.0, 1.0], "scale": 0.8},
                {"step": "interpolate", "size": [40, 40]},
            ]
        }
    )
    window = Preprocessing(steps, [40, 40]).window(300, 200)
    assert (window.left, window.top, window.width, window.height) == pytest.approx((70, 20, 160, 160))


def test_images_that_cannot_be_used(folder: Path, tmp_path: Path) -> None:
    preprocessing, _ = inputs(loaders(folder, fv.Resize(24), []))
    (tmp_path / "text.jpg").write_text("no image")
    (tmp_path / "empty.png").touch()
    for path in (tmp_path / "text.jpg", tmp_path / "empty.png", tmp_path / "none.png", tmp_path):
        with pytest.raises(DataError):
            preprocessing(path)
    with pytest.raises(DataError, match="5x2000 pixels are too long"):
        preprocessing(Image.new("RGB", (5, 2000)))


def test_images_of_another_size_where_nothing_resizes() -> None:
    steps = Steps.model_validate({"steps": [{"step": "to-tensor"}]})
    preprocessing = Preprocessing(steps, [28, 30])
    assert preprocessing(Image.new("RGB", (30, 28))).shape == (3, 28, 30)
    with pytest.raises(DataError, match=r"28x30 pixels; the model .* takes images of 30x28 only"):
        preprocessing(Image.new("RGB", (28, 30)))
