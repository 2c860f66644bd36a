"""Cropping, padding and resizing in a graph give what Pillow gives, within a rounding."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from conftest import noise
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from visionkit.errors import UsageError
from visionkit.inference.description import Steps
from visionkit.inference.exporting.steps import GraphPreprocessing
from visionkit.inference.preprocessing import Preprocessing

SIDES = st.integers(1, 90)
RESIZES = st.fixed_dictionaries(
    {
        "step": st.just("resize"),
        "width": SIDES,
        "height": SIDES,
        "method": st.sampled_from(["crop", "squish", "pad"]),
        "pad_mode": st.sampled_from(["zeros", "border", "reflection"]),
        "resample": st.sampled_from(["box", "bilinear", "hamming", "bicubic", "lanczos"]),
    }
)
CROPS = st.fixed_dictionaries({"step": st.just("centre-crop"), "width": SIDES, "height": SIDES})
TO_TENSOR = {"step": "to-tensor", "divisor": 255.0}


def both(
    picture: Image.Image, steps: list[dict[str, Any]], size: tuple[int, int]
) -> tuple[torch.Tensor, ...]:
    parsed = Steps.model_validate({"steps": steps})
    expected = Preprocessing(parsed, size)(picture)
    pixels = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float()
    return expected, GraphPreprocessing(parsed, size)(pixels)[0]


def window_of(steps: list[dict[str, Any]], size: tuple[int, int], width: int, height: int) -> list[float]:
    made = GraphPreprocessing(Steps.model_validate({"steps": steps}), size)
    found = made.window(torch.zeros(1, 3, height, width))
    return [float(each) for each in (found.left, found.top, found.across, found.down)]


@settings(max_examples=150, deadline=None)
@given(step=st.one_of(RESIZES, CROPS), width=SIDES, height=SIDES, seed=st.integers(0, 9))
def test_a_step_on_pictures(step: dict[str, Any], width: int, height: int, seed: int) -> None:
    size = (step["height"], step["width"])
    plain = {"step": "to-tensor", "divisor": 1.0}
    expected, found = both(Image.fromarray(noise(seed, width, height)), [step, plain], size)
    assert found.shape == expected.shape
    if step["step"] == "centre-crop":
        assert torch.equal(found, expected)
        return
    # Pillow rounds between both passes, and of odd shapes resizes the columns before the rows, as the graph
    # does with picture and step turned over; at a half the last binary digit decides
    over = {**step, "width": step["height"], "height": step["width"]}
    picture = Image.fromarray(noise(seed, width, height).transpose(1, 0, 2))
    other = both(picture, [over, plain], size[::-1])[1].transpose(1, 2)
    difference = min((found - expected).abs(), (other - expected).abs(), key=torch.sum)
    assert difference.max() <= 3
    assert int((difference > 0).sum()) <= max(6, 0.05 * difference.numel())


@pytest.mark.parametrize("resample", ["bilinear", "bicubic"])
@pytest.mark.parametrize("method", ["crop", "squish"])
@pytest.mark.parametrize(("width", "height"), [(500, 375), (240, 320), (97, 97)])
def test_photos_come_out_as_pillow_has_them(width: int, height: int, method: str, resample: str) -> None:
    side = {"crop": (128, 128), "squish": (width * 128 // height, 128)}[method]
    step = {"step": "resize", "width": side[0], "height": side[1], "method": method, "resample": resample}
    plain = {"step": "to-tensor", "divisor": 1.0}
    expected, found = both(Image.fromarray(noise(3, width, height)), [step, plain], (128, side[0]))
    difference = (found - expected).abs()
    assert difference.max() <= 1
    assert (difference > 0).float().mean() <= 0.01


@settings(max_examples=40, deadline=None)
@given(
    side=st.tuples(st.integers(8, 80), st.integers(8, 80)),
    size=st.tuples(st.integers(4, 60), st.integers(4, 60)),
    align=st.booleans(),
    pad_mode=st.sampled_from(["zeros", "border", "reflection"]),
    cut=st.booleans(),
)
def test_steps_on_tensors(
    side: tuple[int, int], size: tuple[int, int], align: bool, pad_mode: str, cut: bool
) -> None:
    """Of a picture that already has the size that the first step makes, nothing is rounded."""
    width, height = side
    steps: list[dict[str, Any]] = [
        {"step": "resize", "width": width, "height": height, "method": "squish"},
        TO_TENSOR,
        *([{"step": "ratio-crop", "ratio": [0.75, 1.33]}] if cut else []),
        {"step": "interpolate", "size": list(size), "pad_mode": pad_mode, "align_corners": align},
        {"step": "normalise", "mean": [0.5, 0.4, 0.3], "std": [0.2, 0.2, 0.3]},
    ]
    picture = Image.fromarray(noise(1, width, height))
    expected, found = both(picture, steps, size)
    torch.testing.assert_close(found, expected, rtol=0, atol=5e-5)
    window = Preprocessing(Steps.model_validate({"steps": steps}), size).window(123, 77)
    assert window_of(steps, size, 123, 77) == pytest.approx(
        [window.left, window.top, window.width, window.height]
    )


def test_larger_then_cut_as_random_resized_crops_do() -> None:
    steps = [
        {"step": "resize", "width": 40, "height": 40, "method": "squish"},
        {"step": "centre-crop", "width": 32, "height": 32},
        TO_TENSOR,
    ]
    expected, found = both(Image.fromarray(noise(2, 61, 83)), steps, (32, 32))
    torch.testing.assert_close(found, expected, rtol=0, atol=1.01 / 255)


def test_batches_of_any_size_cannot_be_put_into_a_graph() -> None:
    steps = Steps.model_validate({"steps": [TO_TENSOR, {"step": "interpolate", "size": [8, 8]}]})
    with pytest.raises(UsageError, match="preprocessing outside"):
        GraphPreprocessing(steps, (8, 8))
