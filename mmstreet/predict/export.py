"""A trained segmentor in one file, ONNX or TorchScript, kept only if it computes what the model computes."""

from __future__ import annotations

import io
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from mmstreet import __version__
from mmstreet.engine.errors import LaunchError
from mmstreet.files.atomic import atomic_path
from mmstreet.models.data_preprocessor import turns_channels
from mmstreet.predict.binary import log_odds
from mmstreet.predict.exported import FORMAT, METADATA_KEY, SUFFIXES, ExportedModel, load_exported, prepare
from mmstreet.predict.image_pipeline import inference_steps
from mmstreet.predict.onnx_file import halve_weights, quantize, stamp_onnx, write_onnx
from mmstreet.predict.semantic_model import SemanticModel

OPSET = 17
TOLERANCES = {"float32": (1e-4, 0.999), "half": (1e-2, 0.995), "int8": (float("inf"), 0.95)}
"""By precision: greatest difference of any logit, relative to the largest where that is above 1; least share of equal labels."""


@dataclass(frozen=True)
class Parity:
    """How far an exported file is from its model: greatest difference of logits, greatest logit, share of equal labels, what was run.

    ``precision`` says how the file computes, and so what it may differ.
    """

    logits_difference: float
    logits_largest: float
    labels_equal: float
    images: int
    inputs: tuple[tuple[int, ...], ...]
    precision: str = "float32"

    @property
    def holds(self) -> bool:
        """Whether the file may be kept."""
        tolerance, agreement = TOLERANCES[self.precision]
        return self.logits_difference <= tolerance * max(1.0, self.logits_largest) and self.labels_equal >= agreement


class InferenceGraph(nn.Module):
    """What is exported: RGB in 0…255 to logits at the size of the input; colours are normalised inside.

    Args:
        model: A segmentor of mmseg.
        threshold: Probability above which a binary head's pixel is of class 1; the greater of both logits then says so.
    """

    def __init__(self, model: nn.Module, threshold: float | None = None) -> None:
        super().__init__()
        self.model = model
        self.cut = None if threshold is None else log_odds(threshold)
        prep = model.data_preprocessor
        mean, std = getattr(prep, "mean", torch.zeros(3, 1, 1)), getattr(prep, "std", torch.ones(3, 1, 1))
        self.register_buffer("mean", mean.detach().clone().float())
        self.register_buffer("std", std.detach().clone().float())
        self.swap = not turns_channels(prep)

    def forward(self, image: Tensor) -> Tensor:
        """Return logits, float32 ``[B, C, h, w]``, of images, float32 ``[B, 3, h, w]``; a binary head's one channel becomes two."""
        if self.swap:
            image = image.flip(1)
        inputs = (image - self.mean) / self.std
        logits = self.model.encode_decode(inputs, [dict(img_shape=inputs.shape[2:], ori_shape=inputs.shape[2:])])
        return logits if self.cut is None else torch.cat([torch.zeros_like(logits), logits - self.cut], dim=1)


def describe(model: SemanticModel, *, size_hw: tuple[int, int] | None) -> dict:
    """Return the metadata of an export: classes, colours and every step from an image to the input; see ``docs/export.md``.

    Raises:
        LaunchError: If the config's test pipeline or test mode cannot be repeated by the file.
    """
    cfg = model.cfg
    if cfg.model.get("test_cfg", {}).get("mode", "whole") == "slide":
        raise LaunchError(
            "this config predicts in sliding windows, which one network cannot do; add --cfg-options model.test_cfg.mode=whole"
        )
    if model.reading.grey:
        raise LaunchError("this config reads grey images, which an exported file cannot; train with three channels to export")
    resize = None
    for step in inference_steps(cfg)[:-1]:
        name = str(step["type"]).rpartition(".")[2]
        if name != "Resize" or step.get("scale") is None or step.get("interpolation", "bilinear") != "bilinear":
            raise LaunchError(
                f"the test pipeline has '{name}' with {step}, which an exported file cannot repeat; expected Resize with scale"
            )
        scale = step["scale"] if isinstance(step["scale"], list | tuple) else (step["scale"],) * 2
        resize = {"scale_wh": [int(x) for x in scale], "keep_ratio": bool(step.get("keep_ratio", False)), "interpolation": "bilinear"}
    if size_hw is not None:
        resize = {"scale_wh": [size_hw[1], size_hw[0]], "keep_ratio": False, "interpolation": "bilinear"}
    prep = model.model.data_preprocessor
    padding = getattr(prep, "test_cfg", None) or {}
    if padding.get("size"):
        raise LaunchError("the data preprocessor pads to one size at test time; leave test_cfg.size out, or resize in the pipeline")
    graph = InferenceGraph(model.model)
    pad = (graph.mean + getattr(prep, "pad_val", 0) * graph.std).flatten().tolist()
    return {
        "format": FORMAT,
        "mmstreet": __version__,
        "task": "semantic",
        "config": Path(cfg.filename).name,
        "fingerprint": model.fingerprint,
        "classes": list(model.classes),
        "palette": model.palette.tolist(),
        "label_rows": [dict(row) for row in model.label_rows],
        "threshold": model.threshold,
        "temperature": model.temperature,
        "orientation": model.orientation,
        "input": "float32 [B, 3, h, w], RGB, 0 to 255; normalised inside",
        "mean": graph.mean.flatten().tolist(),
        "std": graph.std.flatten().tolist(),
        "resize": resize,
        "size_divisor": None if size_hw else padding.get("size_divisor"),
        "pad_rgb": pad[::-1] if graph.swap else pad,
        "size_hw": list(size_hw) if size_hw else None,
        "align_corners": bool(model.model.align_corners),
    }


def export_model(
    model: SemanticModel,
    images: Sequence[np.ndarray],
    path: str | Path,
    *,
    size_hw: tuple[int, int] | None = None,
    opset: int = OPSET,
    precision: str = "float32",
    calibration: Sequence[np.ndarray] = (),
) -> Parity:
    """Write a segmentor as one file, and keep it only if it agrees with the model on the given images.

    Logits may differ by, and labels must agree to, what :data:`TOLERANCES` says. The check runs each image alone, all of one size as a
    batch, and for a dynamic size also smaller and odd sizes of the first.

    Args:
        model: From :func:`~mmstreet.predict.inference.load_trained`, on the CPU.
        images: Real images, RGB uint8 ``[H, W, 3]``; noise would not show what rounding does at the borders of classes.
        path: The file; its ending, ``.onnx`` or ``.torchscript``, says the format.
        size_hw: Height and width of the only input that the file will take; ``None`` leaves them open. The batch is always open.
        opset: Version of ONNX's operators.
        precision: ``'half'`` stores the weights as float16 and computes in float32, ``'int8'`` quantises both; ONNX only.
        calibration: For ``'int8'``: images whose activations set the ranges, best others than ``images``.

    Returns:
        The measured agreement, which the file's metadata also holds.

    Raises:
        LaunchError: If the model cannot be exported, or the file disagrees with the model: then nothing is left on the disk.
        ValueError: If there is no image, the ending is unknown, or ending and precision do not go together.
        ImportError: If ``onnx`` or ``onnxruntime`` is not installed.
    """
    path = Path(path)
    if not images:
        raise ValueError("export needs real images to check the file with; give one or more")
    if path.suffix.lower() not in SUFFIXES:
        raise ValueError(f"'{path}' must end with {' or '.join(SUFFIXES)}")
    if precision != "float32" and path.suffix.lower() != ".onnx":
        raise ValueError(f"'{path}' cannot be of precision {precision}, only an .onnx file can")
    if precision == "int8" and not calibration:
        raise ValueError("an 8-bit file needs calibration images, which show the ranges of its activations; give some")
    if model.kind != "semantic":
        raise LaunchError(
            "only semantic models can be exported: mmdet's detectors choose boxes with operators that ONNX files cannot carry"
        )
    metadata = describe(model, size_hw=size_hw) | {"precision": precision}
    graph = InferenceGraph(model.model, model.threshold).eval()
    first = torch.from_numpy(prepare(images[0], metadata)[0][None])
    with atomic_path(path) as temporary:
        write = write_onnx if SUFFIXES[path.suffix.lower()] == "onnx" else _write_torchscript
        try:
            write(graph, first, temporary, metadata, opset)
        except (RuntimeError, AttributeError, TypeError, torch.onnx.OnnxExporterError) as error:
            # The last three are what Python code in a network meets that takes the sizes of a trace for plain numbers.
            parts = f"{type(model.model).__name__} with {type(getattr(model.model, 'decode_head', None)).__name__}"
            reason = str(error).strip().partition("\n")[0].partition(". Please")[0]
            advice = "" if size_hw else "; a fixed size may help: export with --size"
            raise LaunchError(f"{parts} cannot be exported: {reason}{advice}") from error
        if precision == "half":
            halve_weights(temporary)
        elif precision == "int8":
            quantize(temporary, [prepare(image, metadata)[0][None] for image in calibration])
        parity = compare(graph, load_exported(temporary, device="cpu"), images, metadata)
        if not parity.holds:
            raise LaunchError(
                f"the exported file disagrees with the model: logits differ by up to {parity.logits_difference:.2g} (largest logit "
                f"{parity.logits_largest:.3g}) and {100 * parity.labels_equal:.3f} % of labels are equal; nothing was written"
            )
        _check_whole(model, load_exported(temporary, device="cpu"), images[0])
        (stamp_onnx if path.suffix.lower() == ".onnx" else _stamp_torchscript)(temporary, metadata | {"parity": asdict(parity)})
    return parity


@torch.inference_mode()
def compare(graph: nn.Module, exported: ExportedModel, images: Sequence[np.ndarray], metadata: Mapping) -> Parity:
    """Run both on the same inputs: one by one, as a batch, and at other sizes where the file takes them."""
    arrays = [prepare(image, metadata)[0][None] for image in images]
    same = [array for array in arrays if array.shape == arrays[0].shape]
    batches = [*arrays, np.concatenate(same)] if len(same) > 1 else [*arrays, np.concatenate([arrays[0], arrays[0][..., ::-1]])]
    if metadata["size_hw"] is None:
        step = metadata["size_divisor"] or 1
        height, width = (max(step, side // step * step) for side in (arrays[0].shape[2] * 3 // 4 + 1, arrays[0].shape[3] * 2 // 3 + 1))
        batches.append(np.ascontiguousarray(arrays[0][:, :, :height, :width]))
    difference, largest, equal, pixels = 0.0, 0.0, 0, 0
    for batch in batches:
        expected = graph(torch.from_numpy(batch)).numpy()
        _check_finite(expected, batch, "the model")
        try:
            answer = exported.run(batch)
        except Exception as error:  # onnxruntime's errors share no other base class
            raise LaunchError(
                f"the exported file fails on an input of {list(batch.shape)} ({str(error).strip().partition(chr(10))[0][:200]}); "
                "this network may need a fixed size: export with --size"
            ) from error
        if answer.shape != expected.shape:
            raise LaunchError(
                f"the exported file gives {list(answer.shape)} for an input of {list(batch.shape)}, the model {list(expected.shape)}"
            )
        _check_finite(answer, batch, "the exported file")
        difference = max(difference, float(np.abs(answer - expected).max()))
        largest = max(largest, float(np.abs(expected).max()))
        equal += int((answer.argmax(1) == expected.argmax(1)).sum())
        pixels += expected[:, 0].size
    shapes = tuple(batch.shape for batch in batches)
    return Parity(difference, largest, equal / pixels, len(images), shapes, metadata["precision"])


def _check_finite(logits: np.ndarray, batch: np.ndarray, whose: str) -> None:
    """A difference to nan is nan, which is greater than nothing."""
    if not np.isfinite(logits).all():
        raise LaunchError(
            f"{whose} gives logits that are infinite or not a number for an input of {list(batch.shape)}; look at the weights and at the "
            "preprocessor's mean and std; nothing was written"
        )


def _check_whole(model: SemanticModel, exported: ExportedModel, image: np.ndarray) -> None:
    """The steps before and after the network are checked too: both ways from an image to its labels."""
    if exported.metadata["size_hw"] is not None:
        return  # the file resizes images in its own way then
    equal = float((model.predict_labels([image])[0] == exported.predict_labels([image])[0]).mean())
    if equal < TOLERANCES[exported.metadata["precision"]][1]:
        raise LaunchError(
            f"the exported file prepares images in another way than the config: {100 * equal:.3f} % of the labels are equal; "
            "nothing was written"
        )


def _write_torchscript(graph: nn.Module, example: Tensor, path: Path, metadata: dict, opset: int) -> None:
    with warnings.catch_warnings(), torch.no_grad():
        warnings.simplefilter("ignore")
        traced = torch.jit.trace(graph, torch.cat([example, example]), check_trace=False)
    _save_torchscript(traced, path, metadata)


def _stamp_torchscript(path: Path, metadata: dict) -> None:
    _save_torchscript(torch.jit.load(str(path)), path, metadata)


def _save_torchscript(traced: torch.jit.ScriptModule, path: Path, metadata: dict) -> None:
    buffer = io.BytesIO()  # torch's own writer ends the process when the disk is full
    torch.jit.save(traced, buffer, _extra_files={METADATA_KEY: json.dumps(metadata)})
    path.write_bytes(buffer.getvalue())
