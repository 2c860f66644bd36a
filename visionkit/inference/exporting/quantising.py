"""Weights in 8 bits, by ONNX Runtime's dynamic quantiser."""

from __future__ import annotations

import logging
from pathlib import Path

from visionkit.errors import VisionkitError

_SCOPES = "pkg.torch.onnx.name_scopes"


def quantise(source: Path, target: Path, metadata: dict[str, str]) -> None:
    """Write the ONNX file `source` with weights of convolutions and linear layers in 8 bits, and `metadata`.

    What flows between layers is quantised as it runs, by its least and greatest value in the whole batch: an
    image's answer hangs a little on the others beside it. The preprocessing stays as it is.

    Raises:
        VisionkitError: the quantiser cannot do it.
    """
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic

    model = onnx.load(source)
    keep = [node.name for node in model.graph.node if not _of_network(node)]
    onnx.helper.set_model_props(model, metadata)
    del model.graph.value_info[:]  # the quantiser turns weights round, and trips over their old shapes
    log = logging.getLogger()
    level = log.level
    log.setLevel(logging.ERROR)  # it advises steps that the exporter has done
    try:
        quantize_dynamic(
            model,
            target,
            op_types_to_quantize=["Conv", "MatMul"],
            nodes_to_exclude=keep,
            weight_type=QuantType.QUInt8,  # the only one that ConvInteger is fast with
        )
    except Exception as error:  # it has no errors of its own
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise VisionkitError(
            f"--precision int8: ONNX Runtime cannot quantise this model: {reason}"
        ) from error
    finally:
        log.setLevel(level)


def _of_network(node: object) -> bool:
    """Whether PyTorch made the node in the graph's `network`."""
    props = node.metadata_props  # type: ignore[attr-defined]
    return any(each.key == _SCOPES and "'network" in each.value for each in props)
