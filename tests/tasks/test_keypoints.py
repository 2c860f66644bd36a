"""Key points: the error in pixels, the way back to the image's pixels, the head, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import fastai.vision.all as fv
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visionkit.checks.points import point_problems
from visionkit.checks.scan import scan_images
from visionkit.data.frames import frame_size
from visionkit.data.points import (
    KeypointBlock,
    Windows,
    image_sizes,
    point_names,
    visible_windows,
)
from visionkit.errors import UsageError
from visionkit.evaluation.points import PixelError
from visionkit.models.architectures import find_architecture
from visionkit.progress import Silence
from visionkit.settings import TrainSettings
from visionkit.tasks import get_task

SIZES = [(100, 80), (110, 80), (120, 60), (64, 48), (48, 64)]
POINTS = [(10.0, 20.0), (30.0, 44.0)]
RESIZES = {
    "squish": lambda: fv.Resize((32, 40), method="squish"),
    "crop": lambda: fv.Resize(32),
    "pad": lambda: fv.Resize((32, 40), method="pad"),
    "random crop": lambda: fv.RandomResizedCrop(32),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Images of several sizes; two bright dots are at `POINTS` in each."""
    place = tmp_path_factory.mktemp("dots")
    for number, (width, height) in enumerate(SIZES):
        Image.new("RGB", (width, height), (30 * number, 60, 90)).save(place / f"{number}.png")
    return place


def loaders(folder: Path, resize: Any, block: Any = None, batch_tfms: Any = None) -> Any:
    """The first two images train; all validate."""
    every = list(range(len(SIZES)))
    return fv.DataBlock(
        blocks=(fv.ImageBlock, block or KeypointBlock(["left", "right"])),
        get_items=lambda place: sorted(place.iterdir()),
        get_y=lambda path: POINTS,
        splitter=lambda items: (every[:2], every),
        item_tfms=resize,
        batch_tfms=batch_tfms,
    ).dataloaders(folder, bs=2, num_workers=0)


def pass_of(dls: Any, predictions: torch.Tensor) -> PixelError:
    """The metric after a validation pass in which the network said `predictions`."""
    metric, seen = PixelError(), 0
    for _, targets in dls.valid:
        said = predictions[seen : seen + len(targets)].flatten(1)
        metric.accumulate(SimpleNamespace(pred=said, y=targets, dls=dls, dl=dls.valid))
        seen += len(targets)
    return metric


@pytest.mark.parametrize("resize", RESIZES)
@pytest.mark.parametrize("seed", range(3))
def test_the_error_is_that_of_a_hand_computation(folder: Path, resize: str, seed: int) -> None:
    """In pixels of the files, whatever their sizes and whatever part of them the network sees."""
    dls = loaders(folder, RESIZES[resize]())
    dls.windows = visible_windows(dls, image_sizes(sorted(folder.iterdir())))
    predictions = torch.rand(len(SIZES), 2, 2, generator=torch.Generator().manual_seed(seed)) * 2 - 1
    metric = pass_of(dls, predictions)
    distances = []
    for index in range(len(SIZES)):
        for point, (x, y) in enumerate(POINTS):
            said_x, said_y = dls.windows.pixels(predictions.numpy())[index, point]
            distances.append(math.hypot(said_x - x, said_y - y))
    assert metric.value == pytest.approx(sum(distances) / len(distances), rel=1e-5)
    metric.reset()
    assert metric.value == 0


def test_the_error_of_squished_images_by_numbers(folder: Path) -> None:
    """All say the middle: 50, 40 of the first image, and so on."""
    dls = loaders(folder, RESIZES["squish"]())
    dls.windows = visible_windows(dls, image_sizes(sorted(folder.iterdir())))
    expected = [math.hypot(w / 2 - x, h / 2 - y) for w, h in SIZES for x, y in POINTS]
    assert pass_of(dls, torch.zeros(len(SIZES), 2, 2)).value == pytest.approx(np.mean(expected), rel=1e-6)


@pytest.mark.parametrize("resize", RESIZES)
def test_windows_lead_back_to_the_pixels_of_the_file(folder: Path, resize: str) -> None:
    dls = loaders(folder, RESIZES[resize](), batch_tfms=fv.aug_transforms())
    windows = visible_windows(dls, image_sizes(sorted(folder.iterdir())))
    scaled = np.concatenate([np.asarray(targets.cpu()) for _, targets in dls.valid])
    assert windows.pixels(scaled) == pytest.approx(np.array([POINTS] * len(SIZES)), abs=1e-3)


@settings(max_examples=60)
@given(
    st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    st.lists(st.tuples(st.floats(-1, 1), st.floats(-1, 1))),
)
def test_windows_of_whole_images(size: tuple[int, int], points: list[tuple[float, float]]) -> None:
    window = Windows(np.zeros((1, 2)), np.array([size]))
    found = window.pixels(np.array(points).reshape(1, -1, 2))[0]
    assert found == pytest.approx(
        np.array([((x + 1) / 2 * size[0], (y + 1) / 2 * size[1]) for x, y in points]).reshape(-1, 2)
    )


def test_the_error_is_not_a_number_for_other_images(folder: Path) -> None:
    dls = loaders(folder, RESIZES["squish"]())
    _, targets = dls.train.one_batch()
    metric = PixelError()
    metric.accumulate(SimpleNamespace(pred=targets.flatten(1), y=targets, dls=dls, dl=dls.valid))
    assert math.isnan(metric.value)  # without the images' sizes
    dls.windows = visible_windows(dls, SIZES)
    metric.reset()
    metric.accumulate(SimpleNamespace(pred=targets.flatten(1), y=targets, dls=dls, dl=dls.train))
    assert math.isnan(metric.value)


@pytest.mark.parametrize(
    "transforms",
    [
        {"do_flip": True, "max_rotate": 0, "max_warp": 0, "max_zoom": 1.0},
        {"do_flip": False, "max_rotate": 20, "max_warp": 0, "p_affine": 1.0},
        {"do_flip": True, "max_rotate": 10, "max_warp": 0.2, "p_affine": 1.0},
    ],
)
def test_points_stay_on_what_they_mark(tmp_path: Path, transforms: dict[str, Any]) -> None:
    """Flips, turns, zooms and warps of fastai move a point with the picture: a dot is found at its point."""
    places = {}
    rows, columns = np.mgrid[0:96, 0:128] + 0.5
    for number in range(12):
        x, y = np.random.default_rng(number).uniform((45, 35), (83, 61))
        dot = 255 * np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / 30)
        Image.fromarray(dot.astype(np.uint8)).save(tmp_path / f"{number}.png")
        places[f"{number}.png"] = [(x, y)]
    dls = fv.DataBlock(
        blocks=(fv.ImageBlock, KeypointBlock(["dot"])),
        get_items=lambda place: sorted(place.iterdir()),
        get_y=lambda path: places[path.name],
        splitter=lambda items: (list(range(12)), [0]),
        item_tfms=fv.Resize((72, 96), method="squish"),
        batch_tfms=fv.aug_transforms(pad_mode="zeros", max_lighting=0, **transforms),
    ).dataloaders(tmp_path, bs=4, num_workers=0)
    rows, columns = np.mgrid[0:72, 0:96] + 0.5
    images, targets = map(torch.cat, zip(*dls.train))
    for image, (point,) in zip(images.mean(dim=1).cpu().numpy(), targets.cpu().numpy()):
        bright = np.where(image > 0.3 * image.max(), image, 0)
        middle = np.array([(bright * columns).sum(), (bright * rows).sum()]) / bright.sum()
        assert middle == pytest.approx((point + 1) / 2 * (96, 72), abs=0.6)


@pytest.mark.parametrize("arch", ["squeezenet1_1", "resnet18"])
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_points_are_float32_in_every_precision(folder: Path, arch: str, precision: str) -> None:
    """bf16 in the last layer would leave few places to tell apart."""
    from visionkit.training.hardware import precision_callbacks

    dls = loaders(folder, RESIZES["squish"]())
    dls.windows = visible_windows(dls, image_sizes(sorted(folder.iterdir())))
    task, options = get_task("keypoints"), TrainSettings(arch=arch, size=32)
    learn = task.learner(
        dls,
        find_architecture(arch),
        options,
        state=None,
        report=print,
        loss_func=task.loss(options, ["left", "right"]),
        metrics=task.metrics(options, ["left", "right"]),
        cbs=precision_callbacks(precision, torch.device("cpu")),
    )
    learn.to(torch.device("cpu"))
    seen = []
    learn.model.register_forward_hook(lambda model, inputs, output: seen.append(output))
    with learn.no_bar(), learn.no_logging():
        learn.fit(1, 1e-3)
        predicted, _ = learn.get_preds(ds_idx=1)
    assert {output.dtype for output in seen} == {torch.float32}
    assert predicted.shape == (len(SIZES), 4) and predicted.abs().max() <= 1
    assert task.predicted(predicted, options).shape == (len(SIZES), 2, 2)
    shorter = predicted.to(torch.bfloat16).float()
    assert not torch.equal(predicted, shorter), "there are places between those of bf16"


def test_names_of_points(folder: Path) -> None:
    task = get_task("keypoints")
    named, plain = loaders(folder, fv.Resize(32)), loaders(folder, fv.Resize(32), fv.PointBlock)
    assert task.vocab(named) == ["left", "right"] and task.outputs(task.vocab(named)) == 4
    assert point_names(plain) == ["point 1", "point 2"]


def test_crops_that_leave_the_points_are_refused(folder: Path) -> None:
    dls = loaders(folder, fv.Resize(48), batch_tfms=fv.aug_transforms(size=32, min_scale=0.75))
    options = TrainSettings(arch="squeezenet1_1", size=32)
    with pytest.raises(UsageError, match=r"min_scale.*does not move the points"):
        get_task("keypoints").learner(
            dls, find_architecture("squeezenet1_1"), options, state=None, report=print
        )


def test_vision_transformers_are_told_both_sides(folder: Path) -> None:
    dls = loaders(folder, fv.Resize((224, 298), method="squish"))
    options = TrainSettings(arch="vit_b_16", size=224)
    with pytest.raises(UsageError, match=r"--arch vit_b_16: takes images of 224 px only.* 224, 298"):
        get_task("keypoints").learner(dls, find_architecture("vit_b_16"), options, state=None, report=print)


def test_frames_keep_the_aspect_ratio_of_the_first_that_opens(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"nothing")
    assert frame_size([tmp_path / "a.jpg", folder / "3.png"], 120) == (120, 160)
    assert frame_size([tmp_path / "a.jpg"], 120) == (120, 120)


def test_bad_points_are_problems_by_kind(folder: Path) -> None:
    images = scan_images(sorted(folder.iterdir()), None, Silence())
    good = POINTS
    assert point_problems(images, [good] * 5, folder) == []
    edges = [[(0.0, 0.0), (float(width), float(height))] for width, height in SIZES]
    assert point_problems(images, edges, folder) == []
    bad = [[(1.0, math.nan), (2, 3)], good[:1], [(101, 20), (-1.5, 3)], "no points", good]
    found = point_problems(images, [*bad[:2], bad[2], *bad[3:]], folder)
    assert [(problem.kind, problem.severity, problem.files[0].name) for problem in found] == [
        ("bad points", "error", "0.png"),
        ("number of points", "error", "1.png"),
        ("point outside", "warning", "2.png"),
        ("bad points", "error", "3.png"),
    ]
    assert "-2, 3 is outside of the image, which is 120x60" in found[2].message
