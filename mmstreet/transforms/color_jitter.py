"""``ColorJitter``: MMSegmentation's ``PhotoMetricDistortion`` in 8 bits.

Brightness and contrast are functions of one byte, so a table of 256 entries holds each of them, and one table both in turn. Saturation
and hue change one channel each of the same picture in HSV, so one way there and back does for both. Random numbers come from numpy's global
generator, in the order in which ``PhotoMetricDistortion`` draws them.
"""
# ruff: noqa: NPY002

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmstreet.files.images import as_contiguous
from mmstreet.registry import TRANSFORMS

HUES = 180
"""OpenCV's hue of a byte goes from 0 to 179, two degrees each."""


class ColorChange(NamedTuple):
    """One draw; ``None`` leaves that property as it is.

    Attributes:
        brightness: Added to every channel, in levels of 0 to 255.
        contrast: Factor of every channel.
        saturation: Factor of HSV's saturation.
        hue: Added to HSV's hue, in units of two degrees, round the circle.
        contrast_last: Whether contrast comes after saturation and hue, or before them.
    """

    brightness: float | None = None
    contrast: float | None = None
    saturation: float | None = None
    hue: int | None = None
    contrast_last: bool = False


def change_colors(image: np.ndarray, change: ColorChange) -> np.ndarray:
    """Change brightness, then contrast, saturation and hue, or contrast last.

    Every step but the way between saturation and hue ends in whole levels, cut off as ``PhotoMetricDistortion`` cuts them.

    Args:
        image: BGR, uint8 ``[H, W, 3]``.
        change: What to do.

    Returns:
        BGR, uint8 ``[H, W, 3]``; ``image`` itself, which is never written to, if nothing changes.
    """
    brightness, contrast = scale_table(offset=change.brightness), scale_table(factor=change.contrast)
    first, last = (brightness, contrast) if change.contrast_last else (_chain(brightness, contrast), None)
    if change.saturation is None and change.hue is None:
        first, last = _chain(first, last), None
    out = image if first is None else cv2.LUT(image, first)
    if change.saturation is not None or change.hue is not None:
        out = cv2.cvtColor(out, cv2.COLOR_BGR2HSV)
        hue = None if change.hue is None else ((np.arange(256) + change.hue) % HUES).astype(np.uint8)
        for channel, table in enumerate((hue, scale_table(factor=change.saturation))):
            if table is not None:
                cv2.insertChannel(cv2.LUT(cv2.extractChannel(out, channel), table), out, channel)
        cv2.cvtColor(out, cv2.COLOR_HSV2BGR, dst=out)
    return out if last is None else cv2.LUT(out, last, dst=out if out is not image else None)


def scale_table(*, factor: float | None = None, offset: float | None = None) -> np.ndarray | None:
    """Return ``factor * level + offset`` of each level 0 … 255, cut off to uint8 ``[256]``; None if neither is given."""
    if factor is None and offset is None:
        return None
    levels = np.arange(256, dtype=np.float32) * (1 if factor is None else factor) + (offset or 0)
    return np.clip(levels, 0, 255).astype(np.uint8)


def _chain(first: np.ndarray | None, second: np.ndarray | None) -> np.ndarray | None:
    return second if first is None else first if second is None else second[first]


@TRANSFORMS.register_module()
class ColorJitter(BaseTransform):
    """Change the image's brightness, contrast, saturation and hue, each with a probability of one half; labels stay.

    The distribution is that of ``mmseg.PhotoMetricDistortion`` with the same settings, and after the same seed so are the pixels, unless
    saturation and hue both change: MMSegmentation then rounds to BGR and back between the two. Contrast comes last in half of the cases.

    Args:
        brightness_delta: Greatest change of brightness, in levels of 0 to 255.
        contrast_range: Least and greatest factor of contrast.
        saturation_range: Least and greatest factor of saturation.
        hue_delta: Greatest change of hue, in units of two degrees; the change lies in ``[-hue_delta, hue_delta)``, 0 for none.

    Raises:
        ValueError: If a range is empty or negative; at run time, if the image is not uint8 with three channels.
    """

    def __init__(
        self,
        *,
        brightness_delta: float = 32,
        contrast_range: Sequence[float] = (0.5, 1.5),
        saturation_range: Sequence[float] = (0.5, 1.5),
        hue_delta: int = 18,
    ):
        if brightness_delta < 0:
            raise ValueError(f"brightness_delta must be 0 or more levels, not {brightness_delta}")
        if not isinstance(hue_delta, int) or not 0 <= hue_delta <= HUES // 2:
            raise ValueError(f"hue_delta must be a whole number from 0 to {HUES // 2}, in units of two degrees, not {hue_delta!r}")
        for name, factors in (("contrast_range", contrast_range), ("saturation_range", saturation_range)):
            if len(factors) != 2 or not 0 <= factors[0] <= factors[1]:
                raise ValueError(f"{name} must be (least, greatest) and 0 or more, not {tuple(factors)}")
        self.brightness_delta = brightness_delta
        self.contrast_range = tuple(contrast_range)
        self.saturation_range = tuple(saturation_range)
        self.hue_delta = hue_delta

    def transform(self, results: dict) -> dict:
        """Change ``results['img']``, BGR uint8 ``[H, W, 3]``."""
        image = results["img"]
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise ValueError(
                f"ColorJitter needs a BGR image, uint8 [H, W, 3], not {image.dtype} {list(image.shape)}; put it before the step that "
                "makes other values of the image"
            )
        results["img"] = change_colors(as_contiguous(image), self.sample_change())
        return results

    def sample_change(self) -> ColorChange:
        """Draw what the next image gets."""
        brightness = _uniform_or_none(-self.brightness_delta, self.brightness_delta)
        contrast_last = not np.random.randint(2)
        contrast = None if contrast_last else _uniform_or_none(*self.contrast_range)
        saturation = _uniform_or_none(*self.saturation_range)
        hue = np.random.randint(-self.hue_delta, self.hue_delta) if np.random.randint(2) and self.hue_delta else None
        if contrast_last:
            contrast = _uniform_or_none(*self.contrast_range)
        return ColorChange(brightness, contrast, saturation, hue, contrast_last)

    def __repr__(self) -> str:
        return (
            f"ColorJitter(brightness_delta={self.brightness_delta}, contrast_range={self.contrast_range}, "
            f"saturation_range={self.saturation_range}, hue_delta={self.hue_delta})"
        )


def _uniform_or_none(low: float, high: float) -> float | None:
    return np.random.uniform(low, high) if np.random.randint(2) else None
