"""What a prediction is: arrays at the size of the image that went in."""

from __future__ import annotations

import base64
import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np

from mmstreet.deps import require
from mmstreet.files.instances import Instances
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.files.legend import add_legend
from mmstreet.files.rle import counts_from_mask, encode_counts

OPACITY = 0.55
"""Weight of the colours over an image."""


@dataclass(frozen=True, eq=False)
class Result:
    """The prediction for one image, in its own coordinates.

    Attributes:
        labels: Train ids, uint8 ``[H, W]``. From a model of instances: the class of the most certain object, 255 where there is none; 255
            also where a semantic model was asked to abstain.
        classes: Class names in the order of their ids.
        palette: RGB of each class, uint8 ``[C, 3]``.
        probs: Class probabilities, float32 ``[C, H, W]``, where they were asked for; always the model's own, before any refinement.
        confidence: Greatest class probability after the model's temperature, float32 ``[H, W]``, where it was asked for.
        entropy: Entropy of the same probabilities by its greatest value, float32 ``[H, W]`` in ``[0, 1]``.
        instances: Objects, from a model of instances.
        changes: What a refiner changed, as plain data, where one was given.
        image: The image, RGB uint8 ``[H, W, 3]``, from a call with one image; a notebook shows the result over it.
    """

    labels: np.ndarray
    classes: tuple[str, ...]
    palette: np.ndarray
    probs: np.ndarray | None = None
    confidence: np.ndarray | None = None
    entropy: np.ndarray | None = None
    instances: Instances | None = None
    changes: Mapping | None = None
    image: np.ndarray | None = None

    @property
    def pixels(self) -> np.ndarray:
        """Pixels of each class, int64 ``[C]``."""
        return np.bincount(self.labels.ravel(), minlength=IGNORE_INDEX + 1)[: len(self.classes)]

    @property
    def shares(self) -> dict[str, float]:
        """Share of each class in the image, in per cent; what is missing to 100 has no class.

        Example:
            >>> Result(np.array([[0, 0, 1, 255]], np.uint8), ("road", "car"), np.zeros((2, 3), np.uint8)).shares
            {'road': 50.0, 'car': 25.0}
        """
        return dict(zip(self.classes, (100 * self.pixels / self.labels.size).tolist()))

    def render_overlay(self, image: np.ndarray, *, opacity: float = OPACITY, legend: bool = False) -> np.ndarray:
        """Lay the class colours over the image; pixels without a class stay as they are, objects get a bright contour.

        Args:
            image: RGB, uint8 ``[H, W, 3]``, the one that was predicted.
            opacity: Weight of the colours, 0 to 1.
            legend: Name the colours and their shares below; see :func:`~mmstreet.files.legend.add_legend`.

        Returns:
            RGB, uint8 ``[H, W, 3]``; with a legend more rows.

        Raises:
            ValueError: If the image has another size.
        """
        if image.shape[:2] != self.labels.shape:
            raise ValueError(f"the image is {list(image.shape[:2])} and the prediction {list(self.labels.shape)} (height, width)")
        colors = np.zeros((IGNORE_INDEX + 1, 1, 3), np.uint8)
        colors[: len(self.classes), 0] = self.palette
        colored = cv2.LUT(cv2.merge([self.labels] * 3), colors)
        overlay = cv2.addWeighted(image, 1 - opacity, colored, opacity, 0)
        without = self.labels >= len(self.classes)
        if without.any():
            np.copyto(overlay, image, where=without[..., None])
        if self.instances is not None:
            for mask in self.instances.masks:
                overlay[_contour(mask)] = 255
        return add_legend(overlay, self.legend) if legend else overlay

    @property
    def legend(self) -> dict[str, tuple[int, ...]]:
        """Each class that the image shows with its share, the greatest first, and its colour."""
        ranked = sorted(((share, i) for i, share in enumerate(self.shares.values()) if share >= 0.05), key=lambda pair: -pair[0])
        return {f"{self.classes[i]} {share:.1f} %": tuple(self.palette[i].tolist()) for share, i in ranked}

    def _repr_png_(self) -> bytes:
        """The overlay with its legend, for notebooks; without the image the colours alone."""
        image = np.zeros((*self.labels.shape, 3), np.uint8) if self.image is None else self.image
        picture = self.render_overlay(image, opacity=1.0 if self.image is None else OPACITY, legend=True)
        return cv2.imencode(".png", cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))[1].tobytes()

    def _repr_html_(self) -> str:
        """The same as a picture with a legend in words."""
        image = np.zeros((*self.labels.shape, 3), np.uint8) if self.image is None else self.image
        picture = cv2.cvtColor(self.render_overlay(image, opacity=1.0 if self.image is None else OPACITY), cv2.COLOR_RGB2BGR)
        data = base64.b64encode(cv2.imencode(".jpg", picture, [cv2.IMWRITE_JPEG_QUALITY, 90])[1]).decode()
        swatch = '<span style="white-space:nowrap"><span style="color:rgb({},{},{})">&#9632;</span> {}</span>'
        words = " &nbsp; ".join(swatch.format(*color, html.escape(name)) for name, color in self.legend.items())
        return f'<div><img style="max-width:100%" alt="overlay" src="data:image/jpeg;base64,{data}"><br>{words}</div>'

    def found(self) -> Instances:
        """Return the objects; from a semantic model one region for each class, in the order of the classes.

        The score of a region is the mean of its pixels' confidence, or of the class's probability, where one of them is kept; else 1.
        """
        if self.instances is not None:
            return self.instances
        ids = np.flatnonzero(self.pixels)
        masks = self.labels == ids[:, None, None]
        sure = self.confidence if self.confidence is not None else None if self.probs is None else self.probs.max(0)
        return Instances.from_masks(masks, ids, None if sure is None else [float(sure[mask].mean()) for mask in masks])

    def to_supervision(self) -> Any:
        """Return ``supervision.Detections`` of :meth:`found`, with the class names as ``data['class_name']``.

        Raises:
            ImportError: If supervision is not installed; the message says how to install it.
        """
        found = self.found()
        return require("supervision", extra="tools").Detections(
            xyxy=found.boxes_xyxy,
            mask=found.masks,
            confidence=found.scores,
            class_id=found.class_ids.astype(int),
            data={"class_name": np.array([self.classes[i] for i in found.class_ids], np.str_)},
        )

    def to_coco(self, image_id: int | str, *, category_ids: Sequence[int] | None = None) -> list[dict]:
        """Return :meth:`found` as COCO results, one row per object: what ``COCO.loadRes`` and ``mmstreet convert --predictions`` read.

        Args:
            image_id: Id of the image in the COCO file.
            category_ids: Id in the COCO file of each class; default: 1, 2, 3, … in the order of the classes.

        Raises:
            ValueError: If there is not one category id for each class.
        """
        category_ids = range(1, len(self.classes) + 1) if category_ids is None else category_ids
        if len(category_ids) != len(self.classes):
            raise ValueError(f"expected {len(self.classes)} category ids, one for each class, got {len(category_ids)}")
        found = self.found()
        return [
            {
                "image_id": image_id,
                "category_id": int(category_ids[class_id]),
                "segmentation": {"size": list(mask.shape), "counts": encode_counts(counts_from_mask(mask))},
                "bbox": [x1, y1, x2 - x1, y2 - y1],
                "score": float(score),
            }
            for mask, (x1, y1, x2, y2), class_id, score in zip(found.masks, found.boxes_xyxy.tolist(), found.class_ids, found.scores)
        ]

    def to_dict(self) -> dict:
        """The result as plain data without the arrays of pixels: size, class shares, objects, changes."""
        plain: dict = {"size_hw": list(self.labels.shape), "shares": self.shares}
        if self.instances is not None:
            plain["instances"] = [
                {"class": self.classes[class_id], "score": float(score), "box_xyxy": [float(x) for x in box], "area_px": int(mask.sum())}
                for mask, box, class_id, score in zip(
                    self.instances.masks, self.instances.boxes_xyxy, self.instances.class_ids, self.instances.scores
                )
            ]
        if self.changes is not None:
            plain["changes"] = dict(self.changes)
        return plain


def _contour(mask: np.ndarray) -> np.ndarray:
    """Return the pixels of a mask that touch another pixel than its own, above, below, left or right."""
    inside = np.pad(mask, 1)
    return mask & ~(inside[:-2, 1:-1] & inside[2:, 1:-1] & inside[1:-1, :-2] & inside[1:-1, 2:])
