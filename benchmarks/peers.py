"""Training loaders of torchvision and timm, as their references make them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader, Dataset
from torchvision import tv_tensors
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
TORCHVISION = ("torchvision", "torchvision tensor", "torchvision trivial")
TIMM = ("timm", "timm prefetcher")


class Frames(Dataset):
    """CamVid's frames with their masks, the same transforms for both."""

    def __init__(self, folder: Path, transform: Callable[..., Any]) -> None:
        self.frames = sorted((folder / "images").iterdir())
        self.masks = folder / "labels"
        self.transform = transform

    def __len__(self) -> int:
        return len(self.frames)

    def __getitem__(self, place: int) -> Any:
        frame = self.frames[place]
        with Image.open(frame) as image, Image.open(self.masks / f"{frame.stem}_P.png") as codes:
            mask = tv_tensors.Mask(v2.functional.pil_to_tensor(codes))
            return self.transform(image.convert("RGB"), mask)


def torchvision_loader(kind: str, folder: Path, size: Any, bs: int, workers: int, device: str) -> Iterable:
    """What torchvision's reference trains with: a random part, brought to the size, perhaps flipped.

    Args:
        kind: "torchvision" for its default backend, Pillow; "torchvision tensor" for its other one;
            "torchvision trivial" for Pillow with TrivialAugmentWide, the augmentation of its newer weights.
        folder: a folder for each class; or CamVid, where `size` is a height and a width.
        size: in pixels.
        bs: images in a batch.
        workers: processes.
        device: that batches are brought to.
    """
    masks = isinstance(size, list | tuple)
    early = [v2.PILToTensor()] if kind == "torchvision tensor" else []
    late = [] if early else [v2.PILToTensor()]
    moved: list[Any] = [v2.RandomResizedCrop(size, antialias=True), v2.RandomHorizontalFlip()]
    if kind == "torchvision trivial":
        moved.append(v2.TrivialAugmentWide())
    floats = [v2.ToDtype({tv_tensors.Image: torch.float, "others": None} if masks else torch.float, True)]
    first = [v2.ToImage()] if masks and early else early
    last = [v2.ToImage()] if masks and not early else late
    transform = v2.Compose([*first, *moved, *last, *floats, v2.Normalize(MEAN, STD)])
    images: Dataset = Frames(folder, transform) if masks else ImageFolder(str(folder), transform)
    cuda = device != "cpu"
    loader = DataLoader(
        images,
        batch_size=bs,
        shuffle=True,
        drop_last=True,
        num_workers=workers,
        persistent_workers=workers > 0,
        pin_memory=cuda,
    )
    return _Moved(loader, device) if cuda else loader


class _Moved:
    """A loader's batches on a device."""

    def __init__(self, loader: Iterable, device: str) -> None:
        self.loader, self.device = loader, device

    def __iter__(self) -> Iterator[list[Any]]:
        for batch in self.loader:
            yield [part.to(self.device, non_blocking=True) for part in batch]


def timm_loader(kind: str, folder: Path, size: int, bs: int, workers: int, device: str) -> Iterable:
    """The loader of timm with its cheapest training transforms: a random part, perhaps flipped.

    Args:
        kind: "timm", or "timm prefetcher" for its way of making floats of batches rather than of images.
        folder: a folder for each class.
        size: in pixels.
        bs: images in a batch.
        workers: processes.
        device: that batches are brought to.
    """
    from timm.data import create_dataset, create_loader

    cuda = device != "cpu"
    prefetch = kind == "timm prefetcher"
    loader: Iterable = create_loader(
        create_dataset("", root=str(folder), is_training=True, batch_size=bs),
        input_size=(3, size, size),
        batch_size=bs,
        is_training=True,
        color_jitter=0.0,
        interpolation="bilinear",
        num_workers=workers,
        persistent_workers=True,
        pin_memory=cuda,
        device=torch.device(device),
        use_prefetcher=prefetch,
    )
    return _Moved(loader, device) if cuda and not prefetch else loader
