"""Masks kept on disk, so that a slow source is asked only once about an image."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from mmstreet.files.atomic import PARTIAL, atomic_path
from mmstreet.refine.proposals import MaskPredictor, MaskProposer, Masks, Prompts
from mmstreet.registry import MASK_SOURCES


@MASK_SOURCES.register_module()
class CachedMasks:
    """A source with a memory: it proposes or answers prompts like the source behind it, and can do what that can.

    A file is found by the image's pixels, the prompts and the source's settings, and, for weights in a local folder, by the state of that
    folder. So gates, fusion or purity may be changed and the masks still fit; a changed source makes new ones. Several processes may
    share the folder. A damaged file is made again.

    Args:
        source: Config of the source.
        folder: Where the files go.

    Raises:
        TypeError: If ``source`` is no config, whose settings could tell one cached answer from another.
    """

    def __init__(self, *, source: Mapping, folder: str | Path) -> None:
        if not isinstance(source, Mapping):
            raise TypeError(f"CachedMasks needs the config of a source, a dict with type=…, got {type(source).__name__}")
        self.source = MASK_SOURCES.build(dict(source))
        self.folder = Path(folder)
        settings = json.dumps(source, sort_keys=True, default=str)
        self.fingerprint = getattr(self.source, "fingerprint", "")
        self._about = f"{settings} {self.fingerprint}"
        if isinstance(self.source, MaskProposer):
            self.propose = self._propose
        if isinstance(self.source, MaskPredictor):
            self.predict = self._predict

    def _propose(self, image: np.ndarray) -> Masks:
        return self._remember([image], lambda: self.source.propose(image))

    def _predict(self, image: np.ndarray, prompts: Prompts) -> Masks:
        parts = [image, prompts.boxes_xyxy, prompts.points_xy, prompts.point_labels, prompts.mask_boxes_xyxy, *(prompts.mask_logits or ())]
        if prompts.regions is not None:
            parts += [prompts.regions.boxes_xyxy, *prompts.regions.crops]
        return self._remember(parts, lambda: self.source.predict(image, prompts))

    def _remember(self, parts: list, ask: Callable[[], Masks]) -> Masks:
        key = hashlib.sha256(self._about.encode())
        for part in parts:
            array = np.zeros(0) if part is None else np.ascontiguousarray(part)
            key.update(f"{array.dtype}{array.shape}".encode())
            key.update(array)
        path = self.folder / key.hexdigest()[:2] / f"{key.hexdigest()}.npz"
        masks = read_masks(path)
        if masks is None:
            masks = ask()
            write_masks(masks, path)
        return masks


def write_masks(masks: Masks, path: str | Path) -> None:
    """Write masks to a compressed file, which appears whole or not at all; a mask takes a bit per pixel of its box, before compression.

    Args:
        masks: The masks.
        path: The ``.npz`` file; its folder is made if it is missing.
    """
    parts = {
        "boxes_xyxy": masks.boxes_xyxy,
        "scores": masks.scores,
        "size_hw": np.array(masks.size_hw, np.int64),
        "bits": np.packbits(np.concatenate([np.zeros(0, bool), *(crop.ravel() for crop in masks.crops)])),
    }
    if masks.logits is not None:
        parts["logits"] = np.concatenate([np.zeros(0, np.float16), *(part.ravel() for part in masks.logits)])
    with atomic_path(path, partial_suffix=PARTIAL) as temporary, open(temporary, "wb") as file:
        np.savez_compressed(file, **parts)


def read_masks(path: str | Path) -> Masks | None:
    """Read what :func:`write_masks` wrote; ``None`` if there is no such file or it is damaged."""
    try:
        with open(path, "rb") as stream, np.load(stream, allow_pickle=False) as file:
            parts = {name: file[name] for name in file.files}
            boxes = parts["boxes_xyxy"]
            shapes = [(y2 - y1, x2 - x1) for x1, y1, x2, y2 in boxes.tolist()]
            ends = np.cumsum([0, *(height * width for height, width in shapes)])
            bits = np.unpackbits(parts["bits"], count=int(ends[-1])).astype(bool)
            crops, logits = _cut_up(bits, ends, shapes), None
            if "logits" in parts:
                logits = _cut_up(parts["logits"], ends, shapes)
            return Masks(boxes, crops, parts["scores"], tuple(parts["size_hw"].tolist()), logits)
    except Exception:  # no file yet, or a damaged one, which raises what the parsers of zip archives and of Python literals raise
        return None


def _cut_up(flat: np.ndarray, ends: np.ndarray, shapes: list[tuple[int, int]]) -> list[np.ndarray]:
    return [flat[start:end].reshape(shape) for start, end, shape in zip(ends[:-1], ends[1:], shapes)]
