"""``load_from='mmstreet://street'``: training that starts from the model of the package, or from any exported file."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import torch
from mmengine.runner import CheckpointLoader

from mmstreet.deps import require
from mmstreet.engine.errors import WeightsError
from mmstreet.files.config_files import SHIPPED_MODEL

PREFIX = "mmstreet://"


@CheckpointLoader.register_scheme(prefixes=PREFIX, force=True)
def load_exported(filename: str, map_location: str | torch.device | None = None) -> dict:
    """Read ``mmstreet://street``, the model of the package, or ``mmstreet://FILE.onnx`` as a checkpoint.

    Raises:
        WeightsError: If the file is missing or holds no weights.
    """
    name = filename.removeprefix(PREFIX)
    try:
        weights, classes = read_exported_weights(SHIPPED_MODEL if name == "street" else name)
    except (ImportError, OSError, ValueError) as error:
        raise WeightsError(str(error)) from error
    state_dict = {key: torch.from_numpy(values).to(map_location or "cpu") for key, values in weights.items()}
    return dict(state_dict=state_dict, meta=dict(exported=filename, dataset_meta=dict(classes=classes)))


def read_exported_weights(path: str | Path) -> tuple[dict[str, np.ndarray], list[str]]:
    """Read the weights of a file, by the names that they have in the network, and its classes.

    Args:
        path: A file of ``mmstreet export``, in float32 or half precision.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is no such file, or quantised to 8 bits.
    """
    onnx = require("onnx", extra="export")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no exported model '{path}' to read weights from; correct the path")
    try:
        proto = onnx.load(str(path))
    except Exception as error:  # protobuf's errors share no other base class
        raise ValueError(f"'{path}' cannot be read as an ONNX file; it is cut off or none: export it again") from error
    metadata = {entry.key: entry.value for entry in proto.metadata_props}.get("mmstreet")
    tensors = {tensor.name: tensor for tensor in proto.graph.initializer if tensor.name.startswith("model.")}
    if metadata is None or not any(name.removesuffix("_half").endswith(".running_mean") for name in tensors):
        raise ValueError(
            f"'{path}' holds no weights to train from: expected a file of 'mmstreet export' with or without --half (one of --int8, or of "
            "another tool, holds joined or rounded ones); give a checkpoint"
        )
    arrays = {name: onnx.numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
    weights = {
        name.removeprefix("model.").removesuffix("_half"): np.array(values, np.float32 if values.dtype == np.float16 else values.dtype)
        for name, values in arrays.items()
    }
    return weights, list(json.loads(metadata)["classes"])
