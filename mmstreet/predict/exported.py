"""Models in one file, ONNX or TorchScript, run without OpenMMLab: everything that is needed is in the file's metadata."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np

from mmstreet.deps import require
from mmstreet.files.argmax import first_argmax
from mmstreet.files.colors import check_palette
from mmstreet.labels import are_rows_of
from mmstreet.predict.binary import check_scores, shift_probs
from mmstreet.predict.named_models import describe_model
from mmstreet.predict.scaling import fit_size, resize_scores
from mmstreet.predict.sources import refuse_address

METADATA_KEY = "mmstreet"
"""Name of the metadata: a property of an ONNX file, an extra file of a TorchScript archive."""
FORMAT = 1
SUFFIXES = {".onnx": "onnx", ".torchscript": "torchscript"}
"""Endings of exported files."""
_MAX_SIDE = 65536
_LATER = ("orientation", "threshold", "label_rows", "temperature", "precision")
"""Entries that files of the first versions lack."""


def fingerprint_of(*parts: bytes) -> str:
    """Return a short name of some bytes, the same for the same bytes only."""
    return hashlib.sha256(b"".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()[:16]


def is_exported(path: str | Path) -> bool:
    """Tell by its ending whether a path names an exported model."""
    return Path(path).suffix.lower() in SUFFIXES


def prepare(image: np.ndarray, metadata: Mapping, *, scale: float = 1.0) -> tuple[np.ndarray, tuple[int, int]]:
    """Bring an image to the input of an exported network: resize, pad; colours are normalised inside the network.

    Args:
        image: RGB, uint8 ``[H, W, 3]``.
        metadata: The file's metadata; see ``docs/export.md``.
        scale: Factor on the size that the metadata asks for.

    Returns:
        float32 ``[3, h, w]`` in 0…255, and the height and width that hold the image; the rest is padding, right and below.
    """
    size_hw = image.shape[:2]
    if metadata["resize"] is not None:
        wanted = [max(1, int(side * scale + 0.5)) for side in metadata["resize"]["scale_wh"]]
        size_hw = fit_size(size_hw, scale_wh=tuple(wanted), keep_ratio=metadata["resize"]["keep_ratio"])
    elif scale != 1:
        size_hw = tuple(max(1, int(side * scale + 0.5)) for side in size_hw)
    if size_hw != image.shape[:2]:
        image = cv2.resize(image, size_hw[::-1], interpolation=cv2.INTER_LINEAR)
    divisor = metadata["size_divisor"] or 1
    padded_hw = tuple(-(-side // divisor) * divisor for side in size_hw)
    if padded_hw == size_hw:
        return np.ascontiguousarray(image.transpose(2, 0, 1), dtype=np.float32), size_hw
    array = np.empty((3, *padded_hw), np.float32)
    array[:] = np.asarray(metadata["pad_rgb"], np.float32)[:, None, None]
    array[:, : size_hw[0], : size_hw[1]] = image.transpose(2, 0, 1)
    return array, size_hw


class ExportedModel:
    """A semantic model from one file.

    Args:
        run: The network: float32 ``[B, 3, h, w]`` to logits ``[B, C, h, w]``.
        metadata: The file's metadata.
        path: The file, for messages.
    """

    kind = "semantic"

    def __init__(self, run: Callable[[np.ndarray], np.ndarray], metadata: Mapping, path: str | Path) -> None:
        self.run = run
        self.metadata = metadata
        self.path = Path(path)
        self.name, self.about = self.path.name, describe_model(self.path)
        self.fingerprint = fingerprint_of(self.path.read_bytes())
        self.threshold = metadata.get("threshold")
        self.temperature = metadata.get("temperature")
        self.orientation = metadata.get("orientation", "stored")
        self.classes = tuple(metadata["classes"])
        self.label_rows = metadata.get("label_rows", [])
        self.palette = check_palette(metadata["palette"], len(self.classes))

    def predict_logits(self, images: Sequence[np.ndarray], *, scale: float = 1.0) -> list[np.ndarray]:
        """Return logits at the size of each image, float32 ``[C, H, W]``.

        Raises:
            ValueError: If the file takes inputs of one size only and a scale is asked for.
        """
        inputs = [prepare(image, self.metadata, scale=scale) for image in images]
        fixed = self.metadata["size_hw"]
        if fixed is not None and scale != 1:
            raise ValueError(
                f"'{self.path}' takes inputs of {fixed[1]}x{fixed[0]} pixels only; export with a dynamic size to use other scales"
            )
        found: list[np.ndarray | None] = [None] * len(images)
        for shape in dict.fromkeys(array.shape for array, _ in inputs):
            batch = [i for i, (array, _) in enumerate(inputs) if array.shape == shape]
            answer = check_scores(self.run(np.stack([inputs[i][0] for i in batch])))
            if answer.shape != (len(batch), len(self.classes), *shape[1:]):
                expected = [len(batch), len(self.classes), *shape[1:]]
                raise ValueError(f"'{self.path}' gives scores of {list(answer.shape)}, expected {expected}; export the model again")
            for i, logits in zip(batch, answer):
                height, width = inputs[i][1]
                found[i] = resize_scores(logits[:, :height, :width], images[i].shape[:2], align_corners=self.metadata["align_corners"])
        return found

    def predict_labels(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return train ids, uint8 ``[H, W]`` of each image."""
        return [first_argmax(logits) for logits in self.predict_logits(images)]

    def predict_probs(self, images: Sequence[np.ndarray], *, scale: float = 1.0) -> list[np.ndarray]:
        """Return probabilities, float32 ``[C, H, W]`` of each image."""
        found = []
        for logits in self.predict_logits(images, scale=scale):
            odds = np.exp(logits - logits.max(0))
            probs = odds / odds.sum(0)
            found.append(probs if self.threshold is None else shift_probs(probs, 1 - self.threshold))
        return found


def load_exported(path: str | Path, *, device: str | None = None) -> ExportedModel:
    """Load an ONNX or TorchScript file that ``mmstreet export`` wrote.

    Args:
        path: The file, by its ending ``.onnx`` or ``.torchscript``.
        device: ``'cpu'``, ``'cuda'`` or ``'cuda:1'``; default: a GPU where the runtime has one.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file cannot be read or was not written by ``mmstreet export``.
        ImportError: If the runtime is not installed.
    """
    refuse_address(path, "models are not fetched: download it and give its path")
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"model '{path}' does not exist; mmstreet export writes one")
    return (_load_onnx if SUFFIXES[path.suffix.lower()] == "onnx" else _load_torchscript)(path, device)


def _load_onnx(path: Path, device: str | None) -> ExportedModel:
    runtime = require("onnxruntime", extra="export")
    providers = ["CPUExecutionProvider"]
    if device != "cpu" and "CUDAExecutionProvider" in runtime.get_available_providers():
        number = (device or "").partition(":")[2] or os.environ.get("LOCAL_RANK", "0")
        providers.insert(0, ("CUDAExecutionProvider", {"device_id": number}))
    elif device not in (None, "cpu"):
        raise ValueError(f"this onnxruntime has no support for '{device}'; install onnxruntime-gpu or use the CPU")
    options = runtime.SessionOptions()
    options.log_severity_level = 4  # its warnings are about constants that it folds, and its errors are raised besides
    try:
        session = runtime.InferenceSession(str(path), options, providers=providers)
    except Exception as error:  # onnxruntime's errors share no other base class
        raise ValueError(f"'{path}' cannot be read as an ONNX model ({_first_line(error)}); export it again") from error
    metadata = _read_metadata(session.get_modelmeta().custom_metadata_map.get(METADATA_KEY), path)
    ends = [x.name for x in session.get_inputs()], [x.name for x in session.get_outputs()]
    if ends != (["image"], ["logits"]):
        raise ValueError(f"'{path}' goes from {ends[0]} to {ends[1]}, expected ['image'] to ['logits']; export the model again")
    return ExportedModel(lambda batch: session.run(["logits"], {"image": batch})[0], metadata, path)


def _load_torchscript(path: Path, device: str | None) -> ExportedModel:
    torch = require("torch", extra="light")
    extra = {METADATA_KEY: ""}
    place = torch.device(device or (f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if torch.cuda.is_available() else "cpu"))
    try:
        network = torch.jit.load(str(path), map_location=place, _extra_files=extra).eval()
    except Exception as error:  # damaged archives raise errors of several kinds
        raise ValueError(f"'{path}' cannot be read as TorchScript ({_first_line(error)}); export it again") from error

    def run(batch: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return network(torch.from_numpy(batch).to(place)).cpu().numpy()

    return ExportedModel(run, _read_metadata(extra[METADATA_KEY], path), path)


def _read_metadata(text: str | bytes | None, path: Path) -> dict:
    if not text:
        raise ValueError(
            f"'{path}' carries no metadata of mmstreet: write it with mmstreet export, for classes and preprocessing are in there"
        )
    try:
        metadata = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the metadata of '{path}' is no JSON ({_first_line(error)}); export the model again") from error
    check_metadata(metadata, path)
    return metadata


def check_metadata(metadata: object, path: str | Path) -> None:
    """Refuse metadata that lacks something, or holds what :func:`prepare` and :class:`ExportedModel` cannot use.

    Raises:
        ValueError: The message names the entry.
    """
    version = metadata.get("format") if isinstance(metadata, dict) else None
    if version != FORMAT:
        raise ValueError(f"'{path}' has metadata of format {version!r}, this version reads {FORMAT}; export the model again")
    count = len(metadata["classes"]) if isinstance(metadata.get("classes"), list) else 0
    rules = {
        "classes": lambda names: count > 0 and all(isinstance(name, str) for name in names),
        "palette": lambda rows: isinstance(rows, list) and len(rows) == count and all(_are_numbers(row, 3, 0, 255) for row in rows),
        "label_rows": lambda rows: rows == [] or are_rows_of(rows, metadata["classes"]),
        "resize": lambda x: x is None or (isinstance(x, dict) and _are_sizes(x.get("scale_wh")) and isinstance(x.get("keep_ratio"), bool)),
        "size_divisor": lambda x: x is None or _are_sizes([x, x]),
        "pad_rgb": lambda x: _are_numbers(x, 3, -_MAX_SIDE, _MAX_SIDE),
        "size_hw": lambda x: x is None or _are_sizes(x),
        "align_corners": lambda x: isinstance(x, bool),
        "orientation": lambda x: x in ("stored", "exif"),
        "precision": lambda x: x in ("float32", "half", "int8"),
        "temperature": lambda x: x is None or (_are_numbers([x], 1, 0, _MAX_SIDE) and x > 0),
        "threshold": lambda x: x is None or (count == 2 and _are_numbers([x], 1, 0, 1)),
    }
    for name, holds in rules.items():
        if name not in metadata and name in _LATER:
            continue
        if name not in metadata or not holds(metadata[name]):
            raise ValueError(f"the metadata of '{path}' has no usable '{name}' ({str(metadata.get(name))[:80]}); export the model again")


def _are_numbers(values: object, count: int, low: float, high: float) -> bool:
    return (
        isinstance(values, list)
        and len(values) == count
        and all(isinstance(x, int | float) and not isinstance(x, bool) and low <= x <= high for x in values)
    )


def _are_sizes(values: object) -> bool:
    return _are_numbers(values, 2, 1, _MAX_SIDE) and all(isinstance(x, int) for x in values)


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
