"""Networks built again from their description answer as fastai's own do, which trained them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import fastai.vision.all as fv
import pytest
import torch
from fastai.vision.learner import model_meta
from PIL import Image
from torch import Tensor, nn

from visionkit.data.masks import IndexMaskBlock
from visionkit.data.points import KeypointBlock
from visionkit.inference.capture import capture_network
from visionkit.models.architectures import find_architecture
from visionkit.models.bodies import feature_body
from visionkit.models.build import (
    ClassifierNetwork,
    Network,
    UnetNetwork,
    build_network,
    network_shapes,
    network_with,
)
from visionkit.settings import ClassifierSettings, MultiLabelSettings, TrainSettings
from visionkit.tasks import get_task

CLASSIFIERS = {
    "resnet18": 48, "squeezenet1_1": 64, "convnext_tiny": 32, "vit_b_32": 224, "mobilenet_v3_small": 48,
    "small_vgg": 40, "swin_t": 32, "googlenet": 48, "regnet_y_400mf": 32, "resnet10t": 32,
    "test_vit": 160, "test_convnext": 64,
}  # fmt: skip
"""One of each kind, and the size of its images; the last three are timm's."""
UNETS = {"resnet18": (45, 60), "squeezenet1_1": (64, 48), "mobilenet_v2": (45, 60), "small_vgg": (33, 50)}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    place = tmp_path_factory.mktemp("images")
    for number in range(4):
        Image.new("RGB", (60, 45), (60 * number, 90, 30)).save(place / f"{number}.png")
    return place


def loaders(folder: Path, target: Any, label: Any, size: Any = 32) -> Any:
    return fv.DataBlock(
        blocks=(fv.ImageBlock, target),
        get_items=lambda place: sorted(place.iterdir()),
        get_y=label,
        splitter=lambda items: ([0, 1], [2, 3]),
        item_tfms=fv.Resize(size, method="squish"),
    ).dataloaders(folder, bs=2, num_workers=0, device=torch.device("cpu"))


def blank_mask(path: Path) -> Any:
    return fv.PILMask.create(Image.new("L", (60, 45)))


def learner(folder: Path, task: str, arch: str, settings: TrainSettings, size: Any = 32) -> Any:
    """A Learner as training makes it, with random weights and random running means."""
    labels = {
        "single-label": (fv.CategoryBlock, lambda path: path.stem),
        "multi-label": (fv.MultiCategoryBlock, lambda path: [path.stem]),
        "segmentation": (IndexMaskBlock(["a", "b", "c"], blank_mask), lambda path: path),
        "keypoints": (KeypointBlock(["left", "right"]), lambda path: [(1.0, 2.0), (3.0, 4.0)]),
    }  # fmt: skip
    dls = loaders(folder, *labels[task], size)
    kind = get_task(task)
    torch.manual_seed(3)
    learn = kind.learner(
        dls, find_architecture(arch), settings, state=None, report=print, loss_func=nn.MSELoss()
    )
    for module in learn.model.modules():
        if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d):
            nn.init.uniform_(module.running_mean, -0.2, 0.2)
            nn.init.uniform_(module.running_var, 0.5, 1.5)
    return learn


def answers_agree(learn: Any, network: Network, size: tuple[int, int]) -> Tensor:
    """Both networks' outputs for the same images are equal, through the JSON of the description."""
    kind = type(network)
    network = kind.model_validate_json(network.model_dump_json())
    twin = network_with(network, size, learn.model.state_dict())
    images = torch.rand(2, 3, *size, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, found = learn.model.eval()(images).as_subclass(Tensor), twin(images)
    assert type(found) is Tensor
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-5 * max(1.0, float(expected.abs().max()))
    assert found.std() > 1e-4, "the answers are not all the same"
    return found


@pytest.mark.parametrize(("arch", "size"), CLASSIFIERS.items())
def test_classifiers(folder: Path, arch: str, size: int) -> None:
    settings = ClassifierSettings(size=size, arch=arch, pretrained=False)
    learn = learner(folder, "single-label", arch, settings)
    network = capture_network(learn, find_architecture(arch), 2)
    assert isinstance(network, ClassifierNetwork)
    assert answers_agree(learn, network, (size, size)).shape == (2, 2)


@pytest.mark.parametrize("dropout", [0.0, 0.3])
def test_dropout_has_a_place_among_the_names(folder: Path, dropout: float) -> None:
    settings = MultiLabelSettings(size=32, arch="small_vgg", pretrained=False, dropout=dropout)
    learn = learner(folder, "multi-label", "small_vgg", settings)
    network = capture_network(learn, find_architecture("small_vgg"), 2)
    assert isinstance(network, ClassifierNetwork)
    assert any(layer.layer == "dropout" for layer in network.head) == bool(dropout)
    answers_agree(learn, network, (32, 40))


def test_points(folder: Path) -> None:
    settings = ClassifierSettings(size=32, arch="small_vgg", pretrained=False)
    learn = learner(folder, "keypoints", "small_vgg", settings)
    network = capture_network(learn, find_architecture("small_vgg"), 4)
    points = answers_agree(learn, network, (45, 60))
    assert points.shape == (2, 4) and points.abs().max() <= 1


@pytest.mark.parametrize(("arch", "size"), UNETS.items())
def test_unets(folder: Path, arch: str, size: tuple[int, int]) -> None:
    settings = TrainSettings(size=size[0], arch=arch, pretrained=False)
    learn = learner(folder, "segmentation", arch, settings, size)
    network = capture_network(learn, find_architecture(arch), 3)
    assert isinstance(network, UnetNetwork)
    assert len(network.skips) >= 3
    assert answers_agree(learn, network, size).shape == (2, 3, *size)
    answers_agree(learn, network, (64, 96))


def test_unet_can_be_exported(folder: Path) -> None:
    network = UnetNetwork(arch="small_vgg", library="visionkit", outputs=3, skips=[2, 1, 0], shuffle=False)
    model = build_network(network, (32, 32))
    images = torch.rand(2, 3, 32, 48)
    batch = {0: torch.export.Dim("batch", min=1, max=16)}
    exported = torch.export.export(model, (images,), dynamic_shapes=(batch,)).module()
    with torch.no_grad():
        assert torch.allclose(exported(images[:1]), model(images[:1]), atol=1e-5)


def test_bodies_are_cut_where_fastai_cuts_them() -> None:
    ours = {name for name in (arch.__name__ for arch in model_meta) if "xresnet" not in name}
    assert len(ours) >= 15
    for arch, meta in model_meta.items():
        if arch.__name__ not in ours:
            continue
        with torch.device("meta"):
            model = find_architecture(arch.__name__).build()
        theirs = nn.Sequential(*list(model.children())[: meta["cut"]])
        assert list(feature_body(model)) == list(theirs), arch.__name__


def test_shapes_take_no_memory() -> None:
    """A million classes on a body without weights."""
    layers = [
        {"layer": "concat-pool"},
        {"layer": "flatten"},
        {"layer": "linear", "inputs": 10_000_000, "outputs": 10_000_000},
    ]
    text = json.dumps(
        {"kind": "classifier", "arch": "resnet18", "library": "torchvision", "outputs": 9, "head": layers}
    )
    model = network_shapes(ClassifierNetwork.model_validate_json(text), (32, 32))
    assert {value.device.type for value in model.state_dict().values()} == {"meta"}


def test_weights_of_another_network_are_refused(folder: Path) -> None:
    settings = ClassifierSettings(size=32, arch="small_vgg", pretrained=False)
    learn = learner(folder, "single-label", "small_vgg", settings)
    network = capture_network(learn, find_architecture("small_vgg"), 2)
    state = dict(learn.model.state_dict())
    state.popitem()
    with pytest.raises(RuntimeError, match="Missing key"):
        network_with(network, (32, 32), state)
