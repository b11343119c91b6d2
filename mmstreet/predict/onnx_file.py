"""Networks as ONNX files: traced, stored in half precision or quantised to 8 bits, and with their metadata."""

from __future__ import annotations

import json
import logging
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmstreet.deps import require
from mmstreet.models.grid_pooling import open_sizes
from mmstreet.predict.exported import METADATA_KEY

_HALF_MAX = float(np.finfo(np.float16).max)


def write_onnx(graph: nn.Module, example: Tensor, path: Path, metadata: Mapping, opset: int) -> None:
    """Trace a network from ``image`` to ``logits`` and write it.

    Args:
        graph: The network.
        example: An input, float32 ``[1, 3, h, w]``.
        path: The file.
        metadata: See ``docs/export.md``; with ``size_hw`` height and width are fixed, else open, as the batch always is.
        opset: Version of ONNX's operators.
    """
    require("onnx", extra="export")
    require("onnxruntime", extra="export")
    axes = {0: "batch"} if metadata["size_hw"] else {0: "batch", 2: "height", 3: "width"}
    # Two images, so that no size of one is taken for a constant that broadcasts.
    with warnings.catch_warnings(), torch.no_grad(), open_sizes():
        warnings.simplefilter("ignore")
        torch._C._jit_set_onnx_log_enabled(False)  # of a network that it cannot export it prints every operator
        # The exporter on torch.export needs another package and fixes sizes that mmseg computes; this one traces.
        torch.onnx.export(
            graph,
            (torch.cat([example, example]),),
            str(path),
            dynamo=False,
            training=torch.onnx.TrainingMode.PRESERVE,
            opset_version=opset,
            input_names=["image"],
            output_names=["logits"],
            dynamic_axes={"image": axes, "logits": axes},
        )
    stamp_onnx(path, metadata)


def stamp_onnx(path: Path, metadata: Mapping) -> None:
    """Put the metadata into a file."""
    onnx = require("onnx", extra="export")
    proto = onnx.load(str(path))
    onnx.checker.check_model(proto)
    onnx.helper.set_model_props(proto, {METADATA_KEY: json.dumps(dict(metadata))})
    onnx.save(proto, str(path))


def halve_weights(path: Path) -> None:
    """Store the weights of a file as float16; the runtime widens them once, when it loads the file, and computes in float32.

    Vectors stay in float32: biases and statistics of batch norm are no share of the file, and small variances suffer most from rounding.
    So do tensors with values beyond float16.
    """
    onnx = require("onnx", extra="export")
    proto = onnx.load(str(path))
    casts = []
    for tensor in proto.graph.initializer:
        if tensor.data_type != onnx.TensorProto.FLOAT:
            continue
        values = onnx.numpy_helper.to_array(tensor)
        if values.ndim < 2 or np.abs(values).max() > _HALF_MAX:
            continue
        name, stored = tensor.name, f"{tensor.name}_half"
        tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), stored))
        casts.append(onnx.helper.make_node("Cast", [stored], [name], name=f"{name}_widen", to=onnx.TensorProto.FLOAT))
    for node in reversed(casts):
        proto.graph.node.insert(0, node)
    onnx.save(proto, str(path))


def quantize(path: Path, inputs: Sequence[np.ndarray]) -> None:
    """Quantise a file to 8 bits: weights by channel, activations by the ranges that the given inputs show.

    Args:
        path: The file, which is replaced.
        inputs: What the network gets from real images, float32 ``[1, 3, h, w]`` each.
    """
    tools = require("onnxruntime.quantization", extra="export")

    class Reader(tools.CalibrationDataReader):
        def __init__(self) -> None:
            self.rest: Iterator = iter(inputs)

        def get_next(self) -> dict | None:
            array = next(self.rest, None)
            return None if array is None else {"image": array}

    onnx = require("onnx", extra="export")
    metadata = [(x.key, x.value) for x in onnx.load(str(path)).metadata_props]
    logger, target = logging.getLogger(), path.with_name(f"{path.stem}-int8{path.suffix}")
    level = logger.level
    logger.setLevel(logging.ERROR)  # it advises a preprocessing step whose shape inference an open size does not pass
    try:
        tools.quantize_static(
            str(path), str(target), Reader(), per_channel=True, activation_type=tools.QuantType.QUInt8, weight_type=tools.QuantType.QInt8
        )
        target.replace(path)
    finally:
        logger.setLevel(level)
        target.unlink(missing_ok=True)
    proto = onnx.load(str(path))
    onnx.helper.set_model_props(proto, dict(metadata))
    onnx.save(proto, str(path))
