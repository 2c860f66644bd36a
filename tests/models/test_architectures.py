"""Bodies of torchvision's architectures as classifiers and U-Nets, and weights for them."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from fastai.vision.learner import create_body, create_unet_model, create_vision_model
from safetensors.torch import save_file
from torch import nn

from visionkit.errors import UsageError
from visionkit.models.architectures import Architecture, find_architecture
from visionkit.models.weights import load_fitting, read_state

# one of each family, its smallest member; maxvit and the transformers with windows work at multiples of their
# training size
FAMILIES = {
    "alexnet": 64, "convnext_tiny": 64, "densenet121": 64, "efficientnet_b0": 64, "efficientnet_v2_s": 64,
    "googlenet": 64,
    "inception_v3": 96,
    "maxvit_t": 224, "mnasnet0_5": 64, "mobilenet_v2": 64, "mobilenet_v3_small": 64,
    "regnet_y_400mf": 64, "resnet18": 64,
    "resnext50_32x4d": 64, "shufflenet_v2_x0_5": 64, "squeezenet1_0": 64,
    "swin_t": 64, "vgg11": 64, "vgg11_bn": 64, "vit_b_32": 224, "wide_resnet50_2": 64,
}  # fmt: skip


@pytest.mark.parametrize(("name", "size"), FAMILIES.items())
def test_body_gives_a_feature_map(name: str, size: int) -> None:
    arch = find_architecture(name)
    model = arch.build().eval()
    body = arch.body(model).eval()
    with torch.no_grad():
        features = body(torch.rand(2, 3, size, size))
    assert features.ndim == 4 and features.shape[0] == 2 and features.shape[-1] < size
    mean, std = arch.normalization
    assert len(mean) == len(std) == 3


@pytest.mark.parametrize(
    "name",
    [
        *("resnet18", "squeezenet1_0", "mobilenet_v2", "convnext_tiny"),
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("vgg11_bn", "densenet121")),
    ],
)
def test_unet_on_the_body(name: str) -> None:
    arch = find_architecture(name)
    unet = create_unet_model(
        lambda pretrained: arch.build(), 5, (64, 96), pretrained=False, cut=arch.encoder
    ).eval()
    with torch.no_grad():
        assert unet(torch.rand(2, 3, 64, 96)).shape == (2, 5, 64, 96)
    assert len(unet.sfs) >= 3, "the decoder has skip connections"


def test_transformer_cannot_be_a_unet() -> None:
    arch = find_architecture("vit_b_32")
    with pytest.raises(UsageError, match="U-Net"):
        arch.encoder(arch.build())


def test_resnet_body_is_fastai_s() -> None:
    arch = find_architecture("resnet18")
    model = arch.build()
    ours, theirs = arch.body(model), create_body(model, cut=-2)
    assert list(ours.state_dict()) == list(theirs.state_dict())


def test_classifier_is_fastai_s() -> None:
    import torchvision

    arch = find_architecture("squeezenet1_0")
    ours = create_vision_model(lambda pretrained: arch.build(), 4, pretrained=False, cut=arch.body)
    theirs = create_vision_model(torchvision.models.squeezenet1_0, 4, pretrained=False)
    assert {name: value.shape for name, value in ours.state_dict().items()} == {
        name: value.shape for name, value in theirs.state_dict().items()
    }


def test_unknown_name_gives_the_nearest() -> None:
    with pytest.raises(UsageError, match="resnet50"):
        find_architecture("resnet5O")


def test_timm_where_it_is_installed() -> None:
    arch = find_architecture("resnet10t")
    assert arch.library == "timm"
    assert len(arch.normalization[0]) == 3
    with pytest.raises(UsageError, match="U-Net"):
        arch.encoder(nn.Sequential())


@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_weights_go_where_they_fit(ending: str, tmp_path: Path) -> None:
    source, target = (
        Architecture("squeezenet1_1", "torchvision").build(),
        Architecture("squeezenet1_1", "torchvision").build(),
    )
    state = {name: value.half() for name, value in source.state_dict().items()}
    state["classifier.1.weight"] = torch.zeros(3, 512, 1, 1, dtype=torch.half)
    del state["classifier.1.bias"]
    state["other"] = torch.zeros(1)
    file = tmp_path / f"body.{ending}"
    torch.save(state, file) if ending == "pth" else save_file(state, file)
    report = load_fitting(target, read_state(file))
    assert report.loaded == len(state) - 2
    assert (report.missing, report.unexpected, report.mismatched) == (
        ("classifier.1.bias",),
        ("other",),
        ("classifier.1.weight",),
    )
    for word in ("1 missing", "1 unexpected (other)", "1 mismatched (classifier.1.weight)"):
        assert word in str(report)
    first = next(iter(state))
    assert torch.equal(target.state_dict()[first], state[first].float())


@pytest.mark.parametrize("content", [b"", b"text", b"PK\x03\x04broken"])
@pytest.mark.parametrize("ending", ["pth", "safetensors"])
def test_files_that_are_no_weights(content: bytes, ending: str, tmp_path: Path) -> None:
    file = tmp_path / f"broken.{ending}"
    file.write_bytes(content)
    with pytest.raises(UsageError, match="not a state dict"):
        read_state(file)
