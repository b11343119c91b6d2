"""Fully connected CRF (Krähenbühl and Koltun, NIPS 2011) over the classes that a map holds, with pydensecrf2's lattice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F

from mmstreet.deps import require
from mmstreet.files.argmax import first_argmax
from mmstreet.labels import IGNORE_INDEX
from mmstreet.refine.prediction import Prediction
from mmstreet.refine.record import RegionReport
from mmstreet.refine.refiners import Refiner
from mmstreet.registry import REFINERS

_MIN_PROB = 1e-5
_TUNED_SIDE_PX = 513
"""Longer side of the images for which the published widths were tuned."""


def mean_field(
    image: np.ndarray,
    probs: np.ndarray,
    *,
    iterations: int = 10,
    pos_w: float = 3.0,
    pos_xy: float = 1.0,
    bi_w: float = 4.0,
    bi_xy: float = 67.0,
    bi_rgb: float = 3.0,
) -> np.ndarray:
    """Smooth class probabilities along the image's edges by mean-field inference.

    The unary is ``-log p``. Two Gaussian kernels, symmetrically normalised, pull pixels towards the class of others: one over positions,
    with weight ``pos_w`` and width ``pos_xy``, and one over positions and colours, with weight ``bi_w`` and widths ``bi_xy`` and
    ``bi_rgb``. The defaults are those of DeepLabv2 with ResNet-101 (Chen et al., PAMI 2018).

    Args:
        image: RGB uint8 ``[H, W, 3]``, not normalised.
        probs: float ``[K, H, W]``; they need not sum to 1.
        iterations: Number of updates; 0 gives the normalised ``probs``.
        pos_w: Weight of the smoothness kernel; 0 turns it off.
        pos_xy: Its width in pixels.
        bi_w: Weight of the appearance kernel; 0 turns it off.
        bi_xy: Its width in pixels.
        bi_rgb: Its width in colour values of 0 to 255.

    Returns:
        float32 ``[K, H, W]``, summing to 1 at every pixel.

    Raises:
        ImportError: If pydensecrf2 is not installed.
        ValueError: If the sizes differ.
    """
    if image.shape[:2] != probs.shape[1:]:
        raise ValueError(f"the image is {list(image.shape[:2])} and the probabilities {list(probs.shape[1:])}; resize them to the image")
    densecrf = require("pydensecrf.densecrf", extra="crf")
    classes, height, width = probs.shape
    crf = densecrf.DenseCRF2D(width, height, classes)
    crf.setUnaryEnergy(np.ascontiguousarray(-np.log(np.clip(probs, _MIN_PROB, 1)).reshape(classes, -1), np.float32))
    if pos_w:
        crf.addPairwiseGaussian(sxy=pos_xy, compat=pos_w)
    if bi_w:
        crf.addPairwiseBilateral(sxy=bi_xy, srgb=bi_rgb, rgbim=np.array(image, np.uint8, order="C"), compat=bi_w)  # it wants a writable one
    return np.array(crf.inference(iterations), np.float32).reshape(probs.shape)


def spread_labels(labels: np.ndarray, class_ids: Sequence[int], *, label_prob: float) -> np.ndarray:
    """Turn a label map into probabilities.

    Args:
        labels: uint8 ``[H, W]``, each in ``class_ids`` or 255.
        class_ids: ``K`` ids.
        label_prob: Probability of a pixel's class; the others share the rest. Where the label is 255, all are equal.

    Returns:
        float32 ``[K, H, W]``.
    """
    count = len(class_ids)
    is_label = labels == np.asarray(class_ids)[:, None, None]
    probs = np.where(is_label, label_prob, (1 - label_prob) / max(count - 1, 1)).astype(np.float32)
    probs[:, labels == IGNORE_INDEX] = 1 / count
    return probs


@REFINERS.register_module()
@dataclass(kw_only=True, eq=False)
class CRFRefiner(Refiner):
    """Smooth a prediction with :func:`mean_field`, over the classes that it holds.

    Args:
        classes: See :class:`~mmstreet.refine.refiners.Refiner`.
        iterations: Number of updates.
        pos_w: Weight of the smoothness kernel.
        pos_xy: Its width in pixels of the image.
        bi_w: Weight of the appearance kernel.
        bi_xy: Its width in pixels of the image.
        bi_rgb: Its width in colour values.
        scale_xy: Whether to widen ``bi_xy`` with the image, by its longer side over 513 pixels, for which it was tuned.
        resize: Factor on height and width at which the CRF runs, in ``(0, 1]``; 0.5 takes about a quarter of the time.
        label_prob: How far a bare label map is trusted, in ``(0, 1)``.
        protect: See :class:`~mmstreet.refine.refiners.Refiner`.
        freeze: See :class:`~mmstreet.refine.refiners.Refiner`.

    Raises:
        ValueError: If ``resize`` or ``label_prob`` is out of range.
    """

    iterations: int = 10
    pos_w: float = 3.0
    pos_xy: float = 1.0
    bi_w: float = 4.0
    bi_xy: float = 67.0
    bi_rgb: float = 3.0
    scale_xy: bool = False
    resize: float = 1.0
    label_prob: float = 0.7

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 < self.resize <= 1:
            raise ValueError(f"resize must be within (0, 1], got {self.resize}")
        if not 0 < self.label_prob < 1:
            raise ValueError(f"label_prob must be within (0, 1), got {self.label_prob}")

    def relabel(self, image: np.ndarray, prediction: Prediction) -> tuple[np.ndarray, list[RegionReport], np.ndarray | None]:
        """Run the CRF and take the best class."""
        probs, class_ids = prediction.probs, prediction.class_ids
        if probs is None:
            probs = spread_labels(prediction.labels, class_ids, label_prob=self.label_prob)
        size_hw = image.shape[:2]
        small_hw = tuple(max(1, round(side * self.resize)) for side in size_hw)
        if small_hw != size_hw:
            image = np.rint(_resize(image.transpose(2, 0, 1), small_hw)).astype(np.uint8).transpose(1, 2, 0)
            probs = _resize(probs, small_hw)
        widen = max(size_hw) / _TUNED_SIDE_PX if self.scale_xy else 1.0
        smooth = mean_field(
            image,
            probs,
            iterations=self.iterations,
            pos_w=self.pos_w,
            pos_xy=self.pos_xy * self.resize,
            bi_w=self.bi_w,
            bi_xy=self.bi_xy * widen * self.resize,
            bi_rgb=self.bi_rgb,
        )
        if small_hw != size_hw:
            smooth = _resize(smooth, size_hw)
        return class_ids[first_argmax(smooth)].astype(np.uint8), [], None


def _resize(planes: np.ndarray, size_hw: tuple[int, int]) -> np.ndarray:
    """Resize ``[K, H, W]`` bilinearly, averaging where it shrinks; float32."""
    planes = torch.from_numpy(np.ascontiguousarray(planes, np.float32))[None]
    return F.interpolate(planes, size=size_hw, mode="bilinear", antialias=True)[0].numpy()
