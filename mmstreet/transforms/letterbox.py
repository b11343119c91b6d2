"""``Letterbox``: an image and its instances on a canvas of one size, with boxes that fit the masks again."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from mmstreet.registry import TRANSFORMS


@TRANSFORMS.register_module()
class Letterbox(BaseTransform):
    """Bring an image to one size with its aspect ratio kept, fill the rest, and take the boxes from the masks.

    The image is resized until it just fits and is put into the upper left corner: MMDetection maps predictions back by ``scale_factor``
    alone, which knows no offset. ``img_shape`` stays the size of the image without the filling, so that predicted boxes are clipped to
    what was seen; ``pad_shape`` is that of the canvas.

    Where there are masks, every box becomes the one around its mask on the canvas. Rotations and crops before this step leave boxes
    around boxes, and resizing leaves boxes beside their masks; both are mended here, so this is the last step that moves pixels. An
    instance whose mask vanished, being smaller than a pixel of the canvas or cropped away, keeps the box that it had and is marked as
    ignored: it is neither lost nor learned as background.

    Args:
        size_hw: Canvas height and width in pixels.
        fill_bgr: Colour of the filling; black, as zero padding is understood.

    Raises:
        ValueError: If a side is not positive.
    """

    def __init__(self, *, size_hw: Sequence[int], fill_bgr: Sequence[float] = (0, 0, 0)):
        if len(size_hw) != 2 or min(size_hw) < 1:
            raise ValueError(f"size_hw must be (height, width) of a canvas, both positive, not {tuple(size_hw)}")
        self.size_hw = int(size_hw[0]), int(size_hw[1])
        self.fill_bgr = tuple(fill_bgr)

    def transform(self, results: dict) -> dict:
        """Resize and fill ``img``, ``gt_masks`` and ``gt_seg_map``; sets boxes, ``scale_factor`` (w, h), ``img_shape``, ``pad_shape``."""
        height, width = results["img"].shape[:2]
        zoom = min(self.size_hw[0] / height, self.size_hw[1] / width)
        inner_hw = min(max(1, round(height * zoom)), self.size_hw[0]), min(max(1, round(width * zoom)), self.size_hw[1])
        results["img"] = self._place(results["img"], inner_hw, cv2.INTER_LINEAR, self.fill_bgr)
        for key in results.get("seg_fields", []):
            results[key] = self._place(results[key], inner_hw, cv2.INTER_NEAREST_EXACT, 255)
        results["img_shape"], results["pad_shape"] = inner_hw, self.size_hw
        results["scale_factor"] = inner_hw[1] / width, inner_hw[0] / height
        results["keep_ratio"] = True
        boxes = results.get("gt_bboxes")
        if boxes is not None:
            boxes.rescale_(results["scale_factor"])
            boxes.clip_(inner_hw)
        if results.get("gt_masks") is not None:
            results["gt_masks"] = results["gt_masks"].resize(inner_hw).pad(self.size_hw)
            if boxes is not None:
                self._refit(results)
        return results

    def _refit(self, results: dict) -> None:
        """Put the boxes around the masks; mark what has no mask any more."""
        boxes, masks = results["gt_bboxes"], results["gt_masks"]
        fitted = masks.get_bboxes(type(boxes))
        tensor = boxes.tensor.clone()
        seen = np.asarray(masks.areas) > 0
        tensor[seen] = fitted.tensor[seen].to(tensor)
        results["gt_bboxes"] = type(boxes)(tensor)
        ignored = results.get("gt_ignore_flags", np.zeros(len(seen), bool))
        results["gt_ignore_flags"] = np.asarray(ignored, bool) | ~seen

    def _place(self, array: np.ndarray, inner_hw: tuple[int, int], interpolation: int, fill) -> np.ndarray:
        if array.shape[:2] != inner_hw:
            array = cv2.resize(np.ascontiguousarray(array), inner_hw[::-1], interpolation=interpolation)
        below, right = (size - side for size, side in zip(self.size_hw, inner_hw))
        return cv2.copyMakeBorder(array, 0, below, 0, right, cv2.BORDER_CONSTANT, value=fill) if below or right else array

    def __repr__(self) -> str:
        return f"Letterbox(size_hw={self.size_hw}, fill_bgr={self.fill_bgr})"
