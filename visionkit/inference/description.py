"""`model.json`: what a bundle's weights mean; typed, and with limits, since it may come from anywhere."""

from __future__ import annotations

import json
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from visionkit.errors import VisionkitError
from visionkit.models.build import ClassifierNetwork, Name, Side, Size, UnetNetwork

FORMAT_VERSION: Literal[3] = 3
"""The newest: 3 has pictures that are turned upright, 2 all else. A bundle is of the oldest that can hold it,
so that an older visionkit reads it or refuses it, and never passes over what changes answers."""
MAX_PIXELS = 1 << 24
"""Of the images that a network takes."""
Text = Annotated[str, Field(max_length=2000)]
Probability = Annotated[float, Field(ge=0, le=1)]
PadMode = Literal["zeros", "border", "reflection"]
Resample = Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]


class _Part(BaseModel):
    """Frozen, without conversions; keys that this version does not know are passed over."""

    model_config = ConfigDict(frozen=True, strict=True, allow_inf_nan=False)


class Resize(_Part):
    """A picture to a size, as fastai's `Resize` does it in validation.

    Args:
        step: its name in the file.
        width: in pixels.
        height: in pixels.
        method: `crop` cuts the longer side around the centre, `pad` widens the shorter, `squish` distorts.
        pad_mode: what `pad` adds.
        resample: Pillow's filter.
    """

    step: Literal["resize"] = "resize"
    width: Side
    height: Side
    method: Literal["crop", "squish", "pad"]
    pad_mode: PadMode = "reflection"
    resample: Resample = "bilinear"


class CentreCrop(_Part):
    """The middle of a picture, without resizing; it is padded where it is smaller."""

    step: Literal["centre-crop"] = "centre-crop"
    width: Side
    height: Side
    pad_mode: PadMode = "zeros"


class ToTensor(_Part):
    """The picture as a tensor of channels x rows x columns, divided by `divisor`."""

    step: Literal["to-tensor"] = "to-tensor"
    divisor: Annotated[float, Field(gt=0)] = 255.0


class RatioCrop(_Part):
    """The middle of a tensor so that width over height is within `ratio`, then `scale` of both sides."""

    step: Literal["ratio-crop"] = "ratio-crop"
    ratio: Annotated[list[Annotated[float, Field(ge=0.01, le=100)]], Field(min_length=2, max_length=2)]
    scale: Annotated[float, Field(gt=0, le=1)] = 1.0


class Interpolate(_Part):
    """A tensor to a size, as fastai's batch transforms do it in validation.

    Args:
        step: its name in the file.
        size: height and width; None leaves it, and interpolates between the pixels all the same.
        mode: of torch's `grid_sample`.
        pad_mode: of torch's `grid_sample`.
        align_corners: of torch's `grid_sample` and `affine_grid`.
    """

    step: Literal["interpolate"] = "interpolate"
    size: Size | None = None
    mode: Literal["bilinear", "nearest", "bicubic"] = "bilinear"
    pad_mode: PadMode = "reflection"
    align_corners: bool = True


class Normalise(_Part):
    """(value - mean) / std, for red, green and blue; shades of grey become all three."""

    step: Literal["normalise"] = "normalise"
    mean: Annotated[list[float], Field(min_length=3, max_length=3)]
    std: Annotated[list[Annotated[float, Field(gt=0)]], Field(min_length=3, max_length=3)]


PictureStep = Resize | CentreCrop
TensorStep = RatioCrop | Interpolate | Normalise
Step = Annotated[PictureStep | ToTensor | TensorStep, Field(discriminator="step")]


class Steps(_Part):
    """From an image file to what the network takes.

    Args:
        mode: the picture's mode in Pillow: colours or shades of grey.
        upright: whether the picture is first turned or mirrored as its EXIF mark asks.
        steps: those on pictures, then one `to-tensor`, then those on tensors.
    """

    mode: Literal["RGB", "L"] = "RGB"
    upright: bool = False
    steps: Annotated[list[Step], Field(min_length=1, max_length=50)]

    @model_validator(mode="after")
    def _ordered(self) -> Steps:
        kinds = [0 if isinstance(s, PictureStep) else 1 if isinstance(s, ToTensor) else 2 for s in self.steps]
        if kinds != sorted(kinds) or kinds.count(1) != 1:
            raise ValueError("there should be one to-tensor, behind all steps on pictures")
        if self.mode == "L" and not isinstance(self.steps[-1], Normalise):
            raise ValueError("shades of grey should be normalised at the end")
        return self

    @model_serializer(mode="wrap")
    def _as_before(self, written: SerializerFunctionWrapHandler) -> dict[str, Any]:
        """Without `upright` where nothing is turned: what format 2 says stays the same to the letter."""
        said: dict[str, Any] = written(self)
        if not self.upright:
            said.pop("upright", None)
        return said

    @property
    def format_version(self) -> Literal[2, 3]:
        """The oldest format of a bundle that can hold these steps."""
        return 3 if self.upright else 2


class Weights(_Part):
    """The file with the weights: which one belongs to this description."""

    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    bytes: Annotated[int, Field(ge=8, le=1 << 40)]


class Description(_Part):
    """All that a bundle says of its model.

    Args:
        format_version: of the bundle, which tells older versions whether they can read it.
        task: what is predicted.
        recipe: the recipe that was trained.
        dataset: the data set's name, for people.
        synthetic: whether the images were drawn: figures then say nothing about real ones.
        network: how to build it.
        vocab: names of classes, tags, codes or points, in the order of the outputs.
        input_size: height and width that the network was last trained at.
        preprocessing: from an image to the network's input.
        exact: whether `preprocessing` and `network` were compared with the training's own when the bundle was
            written, and gave the same.
        caveat: why not, where they did not.
        activation: from outputs to probabilities, or to points from -1 to 1 over what the network sees.
        thresholds: above which probability a tag counts: one for all, or one for each.
        temperature: outputs are divided by it before the activation; None is 1.
        decision: how tags are chosen.
        metrics: the final figures on the validation images; None where one is not a number.
        data_fingerprint: tells whether another data set is the same.
        versions: of the packages that the model was trained with.
        weights: the file beside this one.
    """

    format_version: Literal[2, 3] = FORMAT_VERSION
    task: Literal["single-label", "multi-label", "segmentation", "keypoints"]
    recipe: Name
    dataset: Text = ""
    synthetic: bool = False
    network: Annotated[ClassifierNetwork | UnetNetwork, Field(discriminator="kind")]
    vocab: Annotated[list[Text], Field(min_length=1, max_length=1_000_000)]
    input_size: Size
    preprocessing: Steps
    exact: bool = True
    caveat: Text | None = None
    activation: Literal["softmax", "sigmoid", "points"]
    thresholds: Probability | list[Probability] | None = None
    temperature: Annotated[float, Field(gt=0, le=1e6)] | None = None
    decision: Literal["threshold", "expected-f2"] = "threshold"
    metrics: dict[str, float | None] = {}
    data_fingerprint: Text = ""
    versions: dict[str, Text] = {}
    weights: Weights

    @model_validator(mode="after")
    def _agrees(self) -> Description:
        """What one part says must go with what the others say."""
        activation, kind = _FORMS[self.task]
        if self.format_version < self.preprocessing.format_version:
            raise ValueError("preprocessing.upright: pictures are turned from format 3 on")
        outputs = len(self.vocab) * (2 if self.task == "keypoints" else 1)
        if self.activation != activation:
            raise ValueError(f"activation: {self.task} goes with {activation}, not {self.activation}")
        if self.network.kind != kind:
            raise ValueError(f"network.kind: {self.task} goes with a {kind}, not a {self.network.kind}")
        if self.network.outputs != outputs:
            raise ValueError(f"network.outputs: {self.network.outputs} for {len(self.vocab)} names in vocab")
        if isinstance(self.network, ClassifierNetwork) and self.network.head[-1].outputs != outputs:
            raise ValueError(f"network.head: its last layer does not have {outputs} outputs")
        if self.task == "multi-label" and self.thresholds is None:
            raise ValueError("thresholds: tags need them")
        if isinstance(self.thresholds, list) and len(self.thresholds) != len(self.vocab):
            raise ValueError(f"thresholds: {len(self.thresholds)} for {len(self.vocab)} names in vocab")
        for height, width in self._sizes():
            if height * width > MAX_PIXELS:
                raise ValueError(f"images of {width}x{height} pixels are too large")
        return self

    def replaced(self, **changes: Any) -> Description:
        """A checked copy with `changes`. Raises pydantic's `ValidationError` for a wrong value."""
        return type(self).model_validate(
            {**{name: getattr(self, name) for name in type(self).model_fields}, **changes}
        )

    def _sizes(self) -> list[tuple[int, int]]:
        sizes = [(self.input_size[0], self.input_size[1])]
        for step in self.preprocessing.steps:
            if isinstance(step, PictureStep):
                sizes.append((step.height, step.width))
            elif isinstance(step, Interpolate) and step.size:
                sizes.append((step.size[0], step.size[1]))
        return sizes


_FORMS = {
    "single-label": ("softmax", "classifier"),
    "multi-label": ("sigmoid", "classifier"),
    "segmentation": ("softmax", "unet"),
    "keypoints": ("points", "classifier"),
}


class _Version(BaseModel):
    model_config = ConfigDict(strict=True)
    format_version: Annotated[int, Field(ge=1, le=10**6)]


def parse_description(text: bytes | str, name: str) -> Description:
    """The description in `text`, the content of the file `name`.

    Raises:
        VisionkitError: it is no description, or one of a newer visionkit; the message names file and field.
    """
    try:
        said = json.loads(text)  # pydantic's own reader takes ten times the memory for what it passes over
    except RecursionError:
        raise VisionkitError(f"{name}: nested too deeply.") from None
    except ValueError as error:
        raise VisionkitError(f"{name}: no JSON: {str(error)[:300]}.") from None
    try:
        version = _Version.model_validate(said).format_version
        if version == 1:
            raise VisionkitError(
                f"{name}: written in format 1, which was never part of a release. Train again, or use the "
                "visionkit that trained it."
            )
        if version > FORMAT_VERSION:
            raise VisionkitError(
                f"{name}: written by a newer visionkit (format {version}; this one reads up to "
                f"{FORMAT_VERSION}). Update visionkit."
            )
        return Description.model_validate(said)
    except ValidationError as error:
        raise VisionkitError(f"{name}: {_first_fault(error)}") from None


def _first_fault(error: ValidationError) -> str:
    """The first of the faults, with its field and without its value, which may be long."""
    first: Any = error.errors(include_url=False, include_input=False)[0]
    field = ".".join(str(part) for part in first["loc"])[:200]
    message = " ".join(first["msg"].split()).removeprefix("Value error, ")[:300]
    return f"{field}: {message}." if field else f"{message}."
