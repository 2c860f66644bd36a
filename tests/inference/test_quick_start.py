"""Loading without the compiler: nothing else changes, and the compiler works afterwards."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from inference.stored import stored_bundle

PROGRAM = """
import sys
from visionkit.inference.quick_start import without_compiler
with without_compiler():
    import torchvision
    import visionkit
    model = visionkit.load(sys.argv[1], device="cpu")
    for arch in ("squeezenet1_1", "resnet18", "densenet121", "vit_b_16"):
        with __import__("torch").device("meta"):
            torchvision.models.get_model(arch)(__import__("torch").empty(1, 3, 224, 224))
assert not {"torch._dynamo", "torch._dynamo.utils"} & set(sys.modules), "the compiler was imported"
import torch
twice = torch.compile(lambda values: torch.cat([values, values]), backend="eager")
assert twice(torch.ones(2)).tolist() == [1, 1, 1, 1] and "torch._dynamo" in sys.modules
assert torchvision.ops.roi_align(torch.ones(1, 1, 4, 4), torch.tensor([[0.0, 0, 0, 2, 2]]), 2).shape[-1] == 2
from torch.fx.experimental.symbolic_shapes import ShapeEnv
with torch.device("meta"):
    assert torch.cat([torch.empty(2, 3)] * 2).normal_().shape == (4, 3)
"""


@pytest.mark.slow
@pytest.mark.parametrize("task", ["single-label", "segmentation"])
def test_the_compiler_comes_later(tmp_path: Path, task: str) -> None:
    folder = stored_bundle(tmp_path / task, task)
    call = [sys.executable, "-c", PROGRAM, str(folder)]
    done = subprocess.run(call, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_what_a_stand_in_does_not_have_comes_from_the_real_one() -> None:
    program = (
        "from visionkit.inference.quick_start import without_compiler\n"
        "with without_compiler():\n"
        "    from torch._dynamo.utils import counters\n"
        "import torch._dynamo.utils\n"
        "assert torch._dynamo.utils.counters is counters and callable(torch._dynamo.explain)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
