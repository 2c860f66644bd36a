"""The small network that trains from scratch, as body, as classifier and as U-Net."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from conftest import Cli
from fastai.vision.learner import create_unet_model, create_vision_model
from torch import nn

from visionkit.errors import UsageError
from visionkit.models.architectures import architecture_names, find_architecture


def test_four_blocks_and_a_head_of_fastai() -> None:
    arch = find_architecture("small_vgg")
    assert "small_vgg" in architecture_names()
    body = arch.body(arch.build())
    assert sum(isinstance(layer, nn.Conv2d) for layer in body.modules()) == 4
    with torch.no_grad():
        assert body.eval()(torch.rand(2, 3, 64, 96)).shape == (2, 128, 4, 6)
    classifier = create_vision_model(lambda pretrained: arch.build(), 5, pretrained=False, cut=arch.body)
    assert sum(values.numel() for values in classifier.parameters()) < 500_000
    with torch.no_grad():
        assert classifier.eval()(torch.rand(2, 3, 64, 64)).shape == (2, 5)
        assert arch.build().eval()(torch.rand(2, 3, 32, 32)).shape == (2, 1000)


def test_as_the_body_of_a_unet() -> None:
    arch = find_architecture("small_vgg")
    unet = create_unet_model(lambda pretrained: arch.build(), 5, (64, 96), pretrained=False, cut=arch.encoder)
    with torch.no_grad():
        assert unet.eval()(torch.rand(2, 3, 64, 96)).shape == (2, 5, 64, 96)
    assert len(unet.sfs) == 3, "the decoder has skip connections"


def test_there_are_no_weights() -> None:
    with pytest.raises(UsageError, match="--no-pretrained"):
        find_architecture("small_vgg").pretrained_state()
    with pytest.raises(UsageError, match="small_vgg"):
        find_architecture("smal_vgg")


def test_on_the_command_line(cli: Cli, dogscats: Path) -> None:
    options = ["--data", dogscats, "--size", 32, "--arch", "small_vgg", "--workers", 0, "--bs", 4]
    refused = cli("dogscats", *options)
    assert refused.exit_code == 2 and "--no-pretrained" in refused.output
    trained = cli(
        "dogscats", *options, "--no-pretrained", "--freeze-epochs", 0, "--epochs", 1, "--out", "run"
    )
    assert trained.exit_code == 0, trained.output
    assert "small_vgg, from scratch" in trained.output
    assert cli("plot", "run").exit_code == 0, "the run can be loaded again"
    too_small = cli("dogscats", *options, "--no-pretrained", "--size", 15)
    assert too_small.exit_code == 2
    assert "small_vgg takes images of 16 pixels and more, not of 15" in too_small.output
    assert cli("export", "run", "--to", "safetensors").exit_code == 0
