"""What examples need in their working folder."""

from __future__ import annotations

import shutil
from pathlib import Path


def photos(folder: Path, broken: bool = False) -> None:
    """`photos/` with three images of the drawn sample, and with `broken` a file that is no image."""
    drawn = sorted((folder.parent / ".visionkit" / "samples").glob("pets-*/images/*.jpg"))
    target = folder / "photos"
    target.mkdir(exist_ok=True)
    for number, image in enumerate(drawn[:: len(drawn) // 3][:3], 1):
        shutil.copy(image, target / f"{number}.jpg")
    if broken:
        (target / "4.jpg").write_text("not an image", encoding="utf-8")


def random_weights(folder: Path) -> None:
    """`random.safetensors`: a mobilenet_v2 that nobody has trained."""
    import torch
    from safetensors.torch import save_file
    from torchvision.models import mobilenet_v2

    photos(folder)
    torch.manual_seed(42)
    save_file(mobilenet_v2(weights=None).state_dict(), folder / "random.safetensors")


def small_settings(folder: Path) -> None:
    """`settings.ini` with two settings."""
    (folder / "settings.ini").write_text("[pets.sample]\nsize = 48\nepochs = 1\n", encoding="utf-8")
