"""Augmentation that mmcv and MMSegmentation lack: one resampling for scale and crop, and blur.

Flip (``mmseg.RandomFlip``) and random erasing (``mmseg.RandomCutOut``) are theirs. Erase with ``seg_fill_in=255``: nothing shows what stood
behind a hole, and under the large weights of rare classes a bicycle that is wholly erased would teach the network to predict bicycles on
blank patches. Every random number comes from numpy's global generator, which mmengine seeds in each worker process.
"""
# ruff: noqa: NPY002

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmstreet.files.images import as_contiguous
from mmstreet.labels import IGNORE_INDEX
from mmstreet.registry import TRANSFORMS
from mmstreet.transforms.functional import offset_range, window_shape


@TRANSFORMS.register_module()
class RandomScaleCrop(BaseTransform):
    """Draw a scale and a window, cut the window out, and bring it to the network's size with its aspect ratio kept.

    1. A scale ``s`` is sampled uniformly from ``scale``. At ``s = 1`` the whole image just fits into ``size_hw``.
    2. A share ``f`` is sampled uniformly from ``fraction``. The window has the aspect ratio of ``size_hw`` as far as both its
       sides stay within ``[fraction[0], 1]`` of the image's; ``f = 1`` is the largest such window. It grows where ``size_hw`` has
       room for more of the image at this scale: nothing is cut away only to be replaced by padding.
    3. The window's place is sampled uniformly from all places in the image. With ``prefer``, a class is sampled uniformly from those
       of ``prefer`` that occur in the label map, then one of its pixels evenly, then a place evenly from those that cover the pixel:
       small objects stay in view, and 20 pixels of bicycle count as much as 30,000 of poles. A place that the data set has drawn already,
       ``crop_anchor_yx``, goes first.
    4. The window is resized by ``s``, or by less if it would not fit into ``size_hw`` then: never more than
       ``1 - fraction[0]`` of a side is cut away, so in effect ``s`` ends at ``1 / fraction[0]``.
    5. A result smaller than ``size_hw`` is put at a place sampled uniformly; around it the image is ``fill_bgr`` and labels are 255.

    ``RandomCrop`` after ``RandomResize`` cuts half of each side away at scale 2 and knows no rare classes; a relative crop and a
    second ``Resize`` between them would resample twice. Here the image and the labels are resampled once, with centres aligned:
    OpenCV's plain nearest-neighbour, which mmcv uses, shifts labels by up to half a pixel against the image.

    Args:
        size_hw: Network height and width in pixels.
        scale: Least and greatest scale.
        fraction: Least and greatest share of the image's sides that the window takes, within (0, 1].
        prefer: Train ids to keep in view; empty for none.
        fill_bgr: Colour of the padding; ImageNet's mean, which is near 0 after normalisation.

    Raises:
        ValueError: If a range is empty or out of bounds; at run time, if the sample has boxes or instance masks.
    """

    follows_anchor = True
    """The window covers ``results['crop_anchor_yx']``, in pixels of the image that comes in."""

    def __init__(
        self,
        *,
        size_hw: Sequence[int],
        scale: Sequence[float] = (0.5, 2.0),
        fraction: Sequence[float] = (0.6, 1.0),
        prefer: Sequence[int] = (),
        fill_bgr: Sequence[float] = (104, 116, 124),
    ):
        if not 0 < scale[0] <= scale[1]:
            raise ValueError(f"scale must be (least, greatest) and above 0, not {tuple(scale)}")
        if not 0 < fraction[0] <= fraction[1] <= 1:
            raise ValueError(f"fraction must be (least, greatest) within (0, 1], not {tuple(fraction)}")
        self.size_hw = int(size_hw[0]), int(size_hw[1])
        self.scale = tuple(scale)
        self.fraction = tuple(fraction)
        self.prefer = tuple(prefer)
        self.fill_bgr = tuple(fill_bgr)

    def transform(self, results: dict) -> dict:
        """Crop, resize and pad ``img`` and every map in ``seg_fields``; sets ``scale_factor`` (w, h), ``img_shape``, ``pad_shape``."""
        if results.get("gt_bboxes") is not None or results.get("gt_masks") is not None:
            raise ValueError(
                "RandomScaleCrop moves images and label maps only; for boxes and instance masks use mmdet's RandomResize and RandomCrop"
            )
        image = as_contiguous(results["img"])
        height, width = image.shape[:2]
        zoom = np.random.uniform(*self.scale) * min(self.size_hw[0] / height, self.size_hw[1] / width)
        fraction = np.random.uniform(*self.fraction)
        rows, columns = window_shape((height, width), self.size_hw, zoom=zoom, fraction=fraction, fraction_min=self.fraction[0])
        anchor = self._sample_anchor(results.get("gt_seg_map")) or (None, None)
        top, left = _sample_offset(height, rows, anchor[0]), _sample_offset(width, columns, anchor[1])
        window = slice(top, top + rows), slice(left, left + columns)
        zoom = min(zoom, self.size_hw[0] / rows, self.size_hw[1] / columns)
        out_hw = max(1, round(rows * zoom)), max(1, round(columns * zoom))
        corner = _sample_offset(self.size_hw[0], out_hw[0]), _sample_offset(self.size_hw[1], out_hw[1])
        results["img"] = self._place(image[window], out_hw, corner, cv2.INTER_LINEAR, self.fill_bgr)
        for key in results.get("seg_fields", []):
            results[key] = self._place(as_contiguous(results[key])[window], out_hw, corner, cv2.INTER_NEAREST_EXACT, IGNORE_INDEX)
        results["img_shape"] = results["pad_shape"] = self.size_hw
        results["scale_factor"] = out_hw[1] / columns, out_hw[0] / rows
        results["keep_ratio"] = True
        return results

    def _place(self, array: np.ndarray, out_hw: tuple[int, int], corner: tuple[int, int], interpolation: int, fill) -> np.ndarray:
        resized = cv2.resize(array, out_hw[::-1], interpolation=interpolation)
        if out_hw == self.size_hw:
            return resized
        beyond = [size - start - side for size, start, side in zip(self.size_hw, corner, out_hw)]
        return cv2.copyMakeBorder(resized, corner[0], beyond[0], corner[1], beyond[1], cv2.BORDER_CONSTANT, value=fill)

    def _sample_anchor(self, labels: np.ndarray | None) -> tuple[int, int] | None:
        if labels is None or not self.prefer:
            return None
        for train_id in np.random.permutation(self.prefer):
            places = np.flatnonzero(labels == train_id)
            if len(places):
                y, x = divmod(int(np.random.choice(places)), labels.shape[1])
                return y, x
        return None

    def __repr__(self) -> str:
        return f"RandomScaleCrop(size_hw={self.size_hw}, scale={self.scale}, fraction={self.fraction}, prefer={self.prefer})"


@TRANSFORMS.register_module()
class RandomGaussianBlur(BaseTransform):
    """Blur the image with a Gaussian of random width; labels stay.

    Args:
        prob: Share of images that are blurred.
        sigma_px: Least and greatest standard deviation, in pixels.

    Raises:
        ValueError: If ``prob`` is not within [0, 1] or the range is empty.
    """

    def __init__(self, *, prob: float = 0.5, sigma_px: Sequence[float] = (0.1, 1.5)):
        if not 0 <= prob <= 1:
            raise ValueError(f"prob must be within [0, 1], not {prob}")
        if not 0 < sigma_px[0] <= sigma_px[1]:
            raise ValueError(f"sigma_px must be (least, greatest) and above 0, not {tuple(sigma_px)}")
        self.prob = prob
        self.sigma_px = tuple(sigma_px)

    def transform(self, results: dict) -> dict:
        """Blur ``results['img']``, uint8 ``[H, W, 3]``."""
        if np.random.uniform() < self.prob:
            sigma = np.random.uniform(*self.sigma_px)
            results["img"] = cv2.GaussianBlur(as_contiguous(results["img"]), (0, 0), sigma)
        return results

    def __repr__(self) -> str:
        return f"RandomGaussianBlur(prob={self.prob}, sigma_px={self.sigma_px})"


def _sample_offset(length: int, window: int, anchor: int | None = None) -> int:
    low, high = offset_range(length, window, anchor)
    return int(np.random.randint(low, high + 1))
