"""What a network trained on ImageNet sees in any image: the likeliest of its classes.

    from visionkit.inference.imagenet import Classifier

    for answer in Classifier("vgg16").classify(["cat.jpg", "https://example.org/dog.jpg"]):
        print(answer.image, answer.top[0].label, answer.top[0].probability)

fastai is not needed for it, and not imported.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from visionkit.devices import resolve_device
from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.image_sources import Unusable
from visionkit.inference.network_by_name import load_network
from visionkit.inference.photos import as_rgb, open_photo
from visionkit.inference.reading import Source, in_batches, read_images, reader_threads


@dataclass(frozen=True)
class Guess:
    """One class, and how likely the image shows it.

    Args:
        number: of the class, from 0, in the order of the weights.
        label: the name of the class.
        probability: 0 to 1; those of all classes sum to 1.
    """

    number: int
    label: str
    probability: float


@dataclass(frozen=True)
class Answer:
    """What the network says of one image.

    Args:
        image: its path or address; empty for a picture of Pillow's.
        top: the likeliest classes, best first; empty where the image cannot be used.
        fault: why it cannot be used; None where it can.
    """

    image: str
    top: tuple[Guess, ...] = ()
    fault: str | None = None

    def as_json(self) -> dict[str, Any]:
        """As `--json` prints it, with probabilities to six places."""
        top = [
            {"class": each.number, "label": each.label, "probability": round(each.probability, 6)}
            for each in self.top
        ]
        return {"image": self.image, "top": top}


class Classifier:
    """A network with ImageNet weights, and the preprocessing that belongs to the weights.

    Args:
        arch: a classifier of torchvision, else of timm where that is installed; "timm/NAME" is timm's also
            where both have it.
        weights: a state dict (.safetensors, or a .pth file of tensors), or the name of weights that the
            library offers, such as "IMAGENET1K_V1"; by default the library's, downloaded where they are not
            in its cache.
        device: "auto" (the GPU where there is one), "cpu", "cuda", "cuda:1" or "mps".
        batch: how many images are computed at once.

    Attributes:
        labels: the names of the classes, by number.
        origin: which weights and preprocessing these are, for people.

    Raises:
        UsageError: there is no such classifier or device, or the weights do not fit.
        VisionkitError: the weights cannot be downloaded.
    """

    def __init__(
        self,
        arch: str = "resnet50",
        weights: str | Path | None = None,
        device: str = "auto",
        batch: int = 32,
    ) -> None:
        if batch < 1:
            raise UsageError(f"--bs {batch}: give 1 or more.")
        self.device = resolve_device(device)
        network = load_network(arch, None if weights is None else str(weights))
        self.arch, self.labels, self.origin = network.name, network.labels, network.origin
        self.batch = batch
        self._transform = network.transform
        self._model = network.model.to(self.device)

    def __str__(self) -> str:
        return f"{self.arch}, {self.origin}, {len(self.labels):,} classes, on {self.device}"

    def classify(self, images: Source | Iterable[Source], top: int = 5) -> Iterator[Answer]:
        """The `top` likeliest classes of each image, in the order of `images`, while they are computed.

        Any number of images takes the memory of a few batches. One that cannot be read or fetched has an
        answer with a fault, and the others go on.

        Args:
            images: one, or any number; folders and patterns are for `find_images` to resolve.
            top: how many classes, at most all that there are.

        Raises:
            UsageError: `top` is not at least 1.
            VisionkitError: the device has too little memory, or the weights give no numbers.
        """
        if top < 1:
            raise UsageError(f"--top {top}: give 1 or more.")
        single = isinstance(images, (str, Path, Image.Image, Unusable))
        return self._answers([images] if single else images, min(top, len(self.labels)))  # type: ignore[list-item,arg-type]

    def _answers(self, images: Iterable[Source], top: int) -> Iterator[Answer]:
        readings = read_images(images, self._input, reader_threads(self.device), ahead=self.batch)
        for batch in in_batches(readings, self.batch):
            inputs = [each.made for each in batch if each.made is not None]
            guesses = iter(self._guesses(torch.stack(inputs), top) if inputs else ())
            for each in batch:
                usable = each.made is not None
                yield Answer(each.name, next(guesses)) if usable else Answer(each.name, fault=each.fault)

    def _input(self, image: Path | Image.Image) -> Tensor:
        return self._transform(as_rgb(image) if isinstance(image, Image.Image) else open_photo(image))

    def _guesses(self, inputs: Tensor, top: int) -> list[tuple[Guess, ...]]:
        try:
            with torch.inference_mode():
                outputs = self._model(inputs.to(self.device)).float()
                found = outputs.softmax(1).topk(top)
                finite = bool(outputs.isfinite().all())
        except torch.OutOfMemoryError as error:
            raise VisionkitError(
                f"{self.device} has too little memory for {len(inputs)} images at once; give a smaller --bs "
                f"than {self.batch}, or --device cpu."
            ) from error
        if not finite:
            raise VisionkitError(f"{self.arch} gives no numbers: its weights are damaged ({self.origin}).")
        values, numbers = found.values.tolist(), found.indices.tolist()
        return [
            tuple(Guess(number, self.labels[number], value) for number, value in zip(*row))
            for row in zip(numbers, values)
        ]
