"""``CorruptImage`` and ``CorruptLabels``: the fifteen common corruptions and two of dash cameras, the same bytes each time.

Hendrycks and Dietterich, ICLR 2019. What an image becomes depends on its file name, the kind and the severity only: not on the order of
the images, the number of processes, or a generator that something else draws from.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmstreet.registry import TRANSFORMS
from mmstreet.transforms import corruption_filters as filters
from mmstreet.transforms import corruption_weather as weather

GROUPS = {
    "noise": (filters.gaussian_noise, filters.shot_noise, filters.impulse_noise),
    "blur": (filters.defocus_blur, filters.glass_blur, filters.motion_blur, filters.zoom_blur),
    "weather": (weather.snow, weather.frost, weather.fog, filters.brightness),
    "digital": (filters.contrast, filters.elastic_transform, filters.pixelate, filters.jpeg_compression),
    "camera": (filters.darkness, filters.dashcam_compression),
}
KINDS = {function.__name__: function for functions in GROUPS.values() for function in functions}
GROUP_OF = {function.__name__: group for group, functions in GROUPS.items() for function in functions}
SEVERITIES = (1, 2, 3, 4, 5)
MOVES_LABELS = ("elastic_transform",)
"""Kinds that move pixels to one known place each; labels go with them."""
DISPLACES = ("glass_blur", "zoom_blur")
"""Kinds that spread a pixel over several places around its own: labels stay, and scores are given apart."""


def corrupt_image(image: np.ndarray, kind: str, severity: int, *, name: str) -> np.ndarray:
    """Corrupt an image.

    Args:
        image: RGB, uint8 ``[H, W, 3]``.
        kind: A key of :data:`KINDS`.
        severity: 1 to 5.
        name: What the random numbers follow from, such as the name of the file.

    Returns:
        New array of the same shape and type.
    """
    changed = KINDS[kind](image.astype(np.float32) / 255, severity, _generator(kind, severity, name))
    return np.rint(changed * 255).clip(0, 255).astype(np.uint8)


def corrupt_labels(labels: np.ndarray, kind: str, severity: int, *, name: str) -> np.ndarray:
    """Move a label map, integers ``[H, W]``, as :func:`corrupt_image` moves the image of that size; most kinds move nothing."""
    if kind not in MOVES_LABELS:
        return labels
    places = filters.elastic_map(labels.shape, severity, _generator(kind, severity, name))
    return cv2.remap(labels, *places, cv2.INTER_NEAREST, borderMode=cv2.BORDER_REFLECT_101)


def _generator(kind: str, severity: int, name: str) -> np.random.Generator:
    digest = hashlib.sha256(f"{kind}\n{severity}\n{name}".encode("utf-8", "surrogateescape")).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "little"))


class _Corruption(BaseTransform):
    def __init__(self, *, kind: str, severity: int) -> None:
        if kind not in KINDS:
            raise ValueError(f"unknown corruption '{kind}'; choose one of {', '.join(KINDS)}")
        if severity not in SEVERITIES:
            raise ValueError(f"a severity is a whole number from 1 to 5, not {severity!r}")
        self.kind, self.severity = kind, severity

    def __repr__(self) -> str:
        return f"{type(self).__name__}(kind='{self.kind}', severity={self.severity})"


@TRANSFORMS.register_module()
class CorruptImage(_Corruption):
    """Corrupt ``img``, right after it is loaded; its random numbers follow from the file name in ``img_path``.

    Args:
        kind: A key of :data:`KINDS`, such as ``'fog'``.
        severity: 1 to 5.

    Raises:
        ValueError: If the kind or the severity is unknown; at run time, if the image does not hold values of 8 bits.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``img``, uint8 or float ``[H, W]`` or ``[H, W, 3]`` in BGR, by one of the same shape and type."""
        image = results["img"]
        pixels = image.astype(np.uint8)
        if image.ndim not in (2, 3) or image.shape[2:] not in ((), (1,), (3,)) or not np.array_equal(pixels, image):
            raise ValueError(
                f"{results.get('img_path')}: corruptions need one or three channels of 8 bits as they are read from the file, not "
                f"{image.dtype} {list(image.shape)}"
            )
        color = pixels[..., ::-1] if image.shape[2:] == (3,) else cv2.cvtColor(pixels, cv2.COLOR_GRAY2RGB)
        changed = corrupt_image(color, self.kind, self.severity, name=Path(results["img_path"]).name)
        changed = changed[..., ::-1] if image.shape[2:] == (3,) else cv2.cvtColor(changed, cv2.COLOR_RGB2GRAY).reshape(image.shape)
        results["img"] = np.ascontiguousarray(changed, image.dtype)
        return results


@TRANSFORMS.register_module()
class CorruptLabels(_Corruption):
    """Move ``gt_seg_map`` as :class:`CorruptImage` of the same settings moves the image, right after the labels are loaded.

    Args:
        kind: As for :class:`CorruptImage`.
        severity: As for :class:`CorruptImage`.

    Raises:
        ValueError: If the kind or the severity is unknown; at run time, if the labels do not have the size of the image's file.
    """

    def transform(self, results: dict) -> dict:
        """Replace ``gt_seg_map``."""
        labels = results["gt_seg_map"]
        if self.kind in MOVES_LABELS and tuple(results.get("ori_shape", labels.shape)) != labels.shape:
            raise ValueError(
                f"{results.get('seg_map_path')}: labels of {list(labels.shape)} cannot be moved with an image of "
                f"{list(results['ori_shape'])}; {self.kind} needs labels of the image's size"
            )
        results["gt_seg_map"] = corrupt_labels(labels, self.kind, self.severity, name=Path(results["img_path"]).name)
        return results
