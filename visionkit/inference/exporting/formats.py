"""Writing a graph as ONNX or as one of PyTorch's exported programs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from io import BytesIO
from pathlib import Path

import torch

from visionkit.errors import UsageError, VisionkitError
from visionkit.inference.bundle_files import DESCRIPTION_FILE
from visionkit.inference.description import Description
from visionkit.inference.exporting.graph import OUTPUTS, AnswerGraph, Place

PLACE_KEY, PRECISION_KEY = "preprocessing", "precision"
MOST_BYTES = 2_000_000_000
"""That a protocol buffer may have, which an ONNX file is."""


def require_onnx() -> None:
    """Raise `UsageError` where a package that ONNX needs is missing."""
    for package in ("onnx", "onnxscript", "onnxruntime"):
        if find_spec(package) is None:
            raise UsageError(f"--to onnx: {package} is not installed: pip install {package}.")


def write_onnx(graph: AnswerGraph, description: Description, metadata: dict[str, str], path: Path) -> None:
    """Write `graph` as ONNX, in one file, with `metadata` in it.

    Raises:
        VisionkitError: it is larger than an ONNX file may be, or PyTorch cannot export it.
    """
    size = sum(value.numel() * value.element_size() for value in graph.state_dict().values())
    if size > MOST_BYTES:
        raise VisionkitError(
            f"the model has {size:,} bytes of weights, and an ONNX file holds at most 2 GB. Give --to pt2 or "
            "--precision fp16."
        )
    with _quiet(), _told("ONNX"):
        program = torch.onnx.export(
            _program(graph, description),
            input_names=[graph.input_name],
            output_names=list(OUTPUTS[description.task]),
            dynamic_shapes=(graph.sides(),),
            dynamo=True,
            external_data=False,
            verbose=False,
        )
        assert program is not None
        program.model.metadata_props.update(metadata)
        program.save(path)


def write_pt2(graph: AnswerGraph, description: Description, metadata: dict[str, str], path: Path) -> None:
    """Write `graph` for `torch.export.load`; `metadata` are extra files in it.

    Raises:
        VisionkitError: PyTorch cannot export it.
    """
    content = BytesIO()  # PyTorch's own writer does not say why a disk refuses, and may end the process
    with _quiet(), _told("pt2"):
        torch.export.save(_program(graph, description), content, extra_files=dict(metadata))
    path.write_bytes(content.getbuffer())


def metadata_of(description: Description, place: Place, precision: str) -> dict[str, str]:
    """What an exported file says of itself."""
    return {
        DESCRIPTION_FILE: description.model_dump_json(),
        PLACE_KEY: place,
        PRECISION_KEY: precision,
    }


def _program(graph: AnswerGraph, description: Description) -> torch.export.ExportedProgram:
    any_size = dict.fromkeys(graph.sides(), torch.export.Dim.DYNAMIC)
    with torch.no_grad():
        program = torch.export.export(
            graph.eval(), (graph.example(description),), dynamic_shapes=(any_size,), strict=False
        )
    for node in program.graph.nodes:
        node.meta.pop("stack_trace", None)  # paths of this machine
    return program


@contextmanager
def _told(form: str) -> Iterator[None]:
    """Whatever PyTorch says of what it cannot do becomes one message."""
    try:
        yield
    except VisionkitError:
        raise
    except Exception as error:
        reason = " ".join(str(error).split())[:400] or type(error).__name__
        raise VisionkitError(f"PyTorch cannot export this network as {form}: {reason}") from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the warnings and log lines of the exporters, which tell of their own insides."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels):
            logger.setLevel(level)
