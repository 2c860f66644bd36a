"""One warp of bytes does what fastai's batch transforms do in turn, with the numbers that they draw."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import fastai.vision.all as fv
import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from torch import Tensor

from visionkit.cache.building import CacheFolder, Wanted, build
from visionkit.cache.stored import Kept, Stored
from visionkit.loading.batches import TrainingFeed
from visionkit.loading.items import ItemStep
from visionkit.loading.on_device import DeviceTrainingFeed
from visionkit.loading.seeding import seeded
from visionkit.loading.targets import Targets
from visionkit.progress import Silence

SIDE, COUNT = 96, 8
POINTS = torch.rand(COUNT, 3, 2, generator=torch.Generator().manual_seed(1)) * 1.6 - 0.8
AUGMENTATIONS: dict[str, list[Any]] = {
    "none": [],
    "default": fv.aug_transforms(),
    "crop": fv.aug_transforms(size=64, min_scale=0.75),
    "wide crop": fv.aug_transforms(size=(40, 72), min_scale=0.5),
    "size": fv.aug_transforms(size=48),
    "less than half": fv.aug_transforms(size=44),
    "a quarter": fv.aug_transforms(size=24),
    "dihedral": [*fv.aug_transforms(do_flip=False, max_lighting=0), fv.Dihedral(p=0.9)],
    "one for all": fv.aug_transforms(batch=True, p_affine=1.0),
    "zeros": fv.aug_transforms(pad_mode="zeros", max_rotate=45, p_affine=1.0),
    "border": fv.aug_transforms(pad_mode="border", max_rotate=45, p_affine=1.0),
    "edges": fv.aug_transforms(align_corners=False, p_affine=1.0),
    "edges, zeros": fv.aug_transforms(align_corners=False, pad_mode="zeros", p_affine=1.0, size=60),
    "flip": [fv.Flip(p=0.5)],
    "turned": [fv.DeterministicDihedral()],
    "rotate": [fv.Rotate(30, p=1.0)],
    "zoom": [fv.Zoom(0.8, 1.6, p=1.0)],
    "warp": [fv.Warp(0.3, p=1.0)],
    "light": [fv.Brightness(0.6, p=1.0), fv.Contrast(0.6, p=1.0)],
}


def picture(number: int) -> Image.Image:
    """A smooth ground with shapes, whose edges are soft too."""
    across, down = np.meshgrid(np.linspace(0, 200, 4 * SIDE), np.linspace(20, 255, 4 * SIDE))
    ground = np.stack([across, down, np.full_like(across, 30 * number)], axis=-1).astype(np.uint8)
    drawn = Image.fromarray(ground)
    pen, at = ImageDraw.Draw(drawn), 20 * number
    pen.ellipse((60 + at, 80, 200 + at, 260), fill=(250, 60, 20 * number))
    pen.rectangle((150, 200 + at // 2, 330, 240 + at // 2), fill=(10, 200, 240))
    return drawn.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    def made(number: int, keys: Any) -> dict[str, Kept]:
        pixels = np.asarray(picture(number))
        mask = (pixels[..., 0] > 180).astype(np.uint8) + 2 * (pixels[..., 2] > 220).astype(np.uint8)
        return {key: Kept(pixels, mask, (SIDE, SIDE)) for key in keys}

    folder = CacheFolder(tmp_path_factory.mktemp("cache"))
    return build(folder, [Wanted("0" * 24, range(COUNT))], made, 1, Silence())["0" * 24]


def step() -> ItemStep:
    return ItemStep.of([fv.Resize(SIDE, "squish")], "RGB", False)


def pipeline(name: str) -> list[Any]:
    """The batch transforms in the order in which a loader has them."""
    own = [
        fv.IntToFloatTensor(),
        *AUGMENTATIONS[name],
        fv.Normalize.from_stats(*fv.imagenet_stats, cuda=False),
    ]
    return list(fv.Pipeline(own).fs)


def both(
    stored: Stored, transforms: list[Any], targets: Targets | None, seed: int = 7
) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """A batch from the cache, and what fastai's own transforms make of the same items."""
    feed = TrainingFeed(stored, np.arange(COUNT), step(), targets)
    found = feed.prepare(range(COUNT), seed, deepcopy(transforms))()  # some remember their draws
    images = torch.from_numpy(np.stack([stored.image(place) for place in range(COUNT)])).permute(0, 3, 1, 2)
    masks = torch.from_numpy(np.stack([stored.mask(place) for place in range(COUNT)]))
    y = fv.TensorMask(masks) if targets is None else targets.take(range(COUNT)).clone()
    with seeded(seed + 1):
        wanted = fv.Pipeline(transforms, split_idx=0)((fv.TensorImage(images.contiguous()), y))
    return found, wanted


def inner(values: Tensor) -> Tensor:
    """Away from the pixels at which one mask or the other changes."""
    grown = torch.nn.functional.max_pool2d(values.float(), 5, 1, 2)
    shrunk = -torch.nn.functional.max_pool2d(-values.float(), 5, 1, 2)
    return grown == shrunk


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_images_and_masks(name: str, stored: Stored) -> None:
    (x, y), (images, masks) = both(stored, pipeline(name), None)
    assert type(x) is fv.TensorImage and type(y) is fv.TensorMask
    assert x.shape == images.shape and y.shape == masks.shape and y.dtype == masks.dtype == torch.int64
    difference = (x - images).abs().as_subclass(Tensor)
    assert difference.mean() < 0.02
    pairs = torch.stack([x.as_subclass(Tensor).flatten(), images.as_subclass(Tensor).flatten()])
    # to somewhat less than half, whole pixels are averaged, where fastai leaves some out
    assert torch.corrcoef(pairs)[0, 1] > (0.998 if name == "less than half" else 0.999)
    plain, expected = y.as_subclass(Tensor), masks.as_subclass(Tensor)
    certain = inner(expected) & inner(plain)
    assert (plain == expected)[certain].float().mean() > 0.99
    assert certain.float().mean() > 0.4


@pytest.mark.parametrize("name", [name for name in AUGMENTATIONS if "crop" not in name])
@pytest.mark.parametrize("shape", [(COUNT, 3, 2), (COUNT, 1, 2)])
def test_points(name: str, shape: tuple[int, ...], stored: Stored) -> None:
    points = Targets(fv.TensorPoint(POINTS[:, : shape[1]].clone()))
    (_, y), (_, wanted) = both(stored, pipeline(name), points)
    assert type(y) is fv.TensorPoint and y.shape == wanted.shape == shape
    torch.testing.assert_close(y.as_subclass(Tensor), wanted.as_subclass(Tensor), atol=2e-4, rtol=0)


def test_points_stay_on_what_they_mark_where_fastai_would_cut_their_coordinates(stored: Stored) -> None:
    centres = [[60 + 20 * number, 80, 200 + 20 * number, 260] for number in range(COUNT)]
    middles = torch.tensor([[(left + right) / 2, (top + bottom) / 2] for left, top, right, bottom in centres])
    points = Targets(fv.TensorPoint(middles[:, None] / (2 * SIDE) - 1))
    transforms = list(fv.Pipeline(fv.aug_transforms(size=64, min_scale=0.75, p_affine=0, max_lighting=0)).fs)
    feed = TrainingFeed(stored, np.arange(COUNT), step(), points)
    for seed in range(0, 10, 2):
        images, moved = feed.prepare(range(COUNT), seed, transforms)()
        for number in range(4):  # the later ones are partly hidden
            x, y = ((moved[number, 0].as_subclass(Tensor) + 1) * 31.5).round().long().tolist()
            if 4 < x < 60 and 4 < y < 40:
                red, green = images[number, :2, y - 2, x].as_subclass(Tensor).tolist()
                assert red > 200 and green < 100


def test_labels_stay(stored: Stored) -> None:
    labels = Targets(fv.TensorCategory(torch.arange(COUNT)))
    (_, y), (_, wanted) = both(stored, pipeline("default"), labels)
    assert type(y) is type(wanted) is fv.TensorCategory and torch.equal(y, wanted)


@pytest.mark.parametrize("name", AUGMENTATIONS)
def test_warped_on_a_device(name: str, stored: Stored) -> None:
    """What a GPU is given, on the CPU: values are changed afterwards, by fastai's own transforms."""
    transforms, device = pipeline(name), torch.device("cpu")
    feed = DeviceTrainingFeed(stored, np.arange(COUNT), step(), None, device)
    x, y = feed.finish(feed.prepare(range(COUNT), 7, deepcopy(transforms))(), device)
    _, (images, masks) = both(stored, transforms, None)
    assert type(x) is fv.TensorImage and type(y) is fv.TensorMask and y.dtype == torch.int64
    plain, expected = y.as_subclass(Tensor), masks.as_subclass(Tensor)
    assert (plain == expected)[inner(expected) & inner(plain)].float().mean() > 0.99
    rest = feed.rest(transforms)
    if not any(isinstance(each, fv.LightingTfm) for each in rest):
        x = fv.Pipeline(rest, split_idx=0)((x, y))[0]
        assert (x - images).abs().mean() < 0.02


@pytest.mark.parametrize("after", [fv.RandomErasing(p=1.0), fv.Saturation(0.9, p=1.0), fv.Hue(0.4, p=1.0)])
def test_what_is_not_known_is_left_for_later(after: Any, stored: Stored) -> None:
    transforms = list(fv.Pipeline([*pipeline("default"), after]).fs)
    feed = TrainingFeed(stored, np.arange(COUNT), step(), None)
    rest = feed.rest(transforms)
    assert after in rest and rest == transforms[-len(rest) :]
    assert all(not isinstance(each, fv.AffineCoordTfm) for each in rest)


def test_the_global_random_numbers_stay_as_they_are(stored: Stored) -> None:
    feed = TrainingFeed(stored, np.arange(COUNT), step(), None)
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    feed.prepare(range(COUNT), 1, pipeline("default"))()
    assert torch.equal(torch.rand(3), expected)
