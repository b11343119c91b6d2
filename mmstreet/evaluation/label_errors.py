"""Pictures of the areas where labels may be wrong, the first ones of the list."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from mmstreet.evaluation.kept_images import MapRules
from mmstreet.files.atomic import write_json
from mmstreet.files.colors import check_palette
from mmstreet.files.contained import path_inside
from mmstreet.files.images import read_rgb
from mmstreet.files.pictures import write_label_map, write_photo
from mmstreet.metrics.label_errors import LabelErrorMetric, SuspectCrop

OUTLINE = (255, 0, 255)


def write_suspects(metric: LabelErrorMetric, folder: Path, *, orientation: str = "stored") -> list[Path]:
    """Write image, label and prediction around each of the first areas into ``gallery/``, and ``gallery.json``, which lists them.

    Args:
        metric: After its evaluation.
        folder: Where they go.
        orientation: How the images were turned for the model; see :func:`~mmstreet.files.images.read_image`.

    Returns:
        The files.
    """
    meta = metric.dataset_meta or {}
    names = tuple(meta.get("classes") or ())
    rules = MapRules(names, check_palette(meta.get("palette"), len(names)), metric.ignore_index)
    rows, written, present = [], [], set()
    for i, (crop, area) in enumerate(zip(metric.crops, metric.report["suspects"]), 1):
        pictures = {"image": write_photo(_outlined(crop, orientation), path_inside(folder, f"gallery/{i:03d}_image.jpg"))}
        for title, ids in (("label", crop.labels), ("prediction", crop.preds)):
            shown = np.where(ids == rules.ignore_index, 255, np.minimum(ids, len(rules.names)))
            present |= set(np.unique(shown).tolist())
            path = path_inside(folder, f"gallery/{i:03d}_{title}.png")
            pictures[title] = write_label_map(ids, rules.palette, path, ignore_index=rules.ignore_index)
        rows.append({"title": Path(area["img_path"]).name, "pictures": {title: f"gallery/{path.name}" for title, path in pictures.items()}})
        written += pictures.values()
    return [write_json({"legend": rules.legend(present), "images": rows}, folder / "gallery.json"), *written]


def _outlined(crop: SuspectCrop, orientation: str) -> np.ndarray:
    """Cut the window out of the photograph, at twice the size of a small one, and draw the outline of the area."""
    image = read_rgb(crop.img_path, orientation=orientation)
    if image.shape[:2] != crop.image_hw:  # labels of another size than their image
        image = cv2.resize(image, crop.image_hw[::-1], interpolation=cv2.INTER_AREA)
    x1, y1, x2, y2 = crop.box_xyxy
    height, width = crop.inside.shape
    zoom = max(1, 240 // max(height, width))
    photo = cv2.resize(image[y1:y2, x1:x2], (width * zoom, height * zoom), interpolation=cv2.INTER_AREA if zoom == 1 else cv2.INTER_CUBIC)
    inside = np.kron(crop.inside, np.ones((zoom, zoom), np.uint8)).astype(np.uint8)
    outside = cv2.dilate(inside, np.ones((3, 3), np.uint8)) > inside
    photo[outside] = OUTLINE
    return photo
