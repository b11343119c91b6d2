"""From a finished picture to labels: flags, boxes, polygons and run lengths of every instance that can be seen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mmstreet.files.rle import counts_from_runs, encode_counts, runs_from_mask
from mmstreet.formats.bitmask_codec import encode_bitmask
from mmstreet.formats.outlines import trace_polygons
from mmstreet.labels import BDD100K_INS8
from mmstreet.mini.canvas import Canvas
from mmstreet.mini.picture import Picture

_CATEGORY = {"person": "pedestrian"}
_HIDDEN = 0.03
"""An instance counts as occluded when more than this share of it is covered."""


@dataclass(frozen=True, eq=False)
class Annotations:
    """The instance labels of one picture.

    Attributes:
        bitmask: BDD100K's instance bitmask, RGBA, uint8 ``[H, W, 4]``.
        polygons: Scalabel labels with ``poly2d``.
        rles: The same labels with ``rle`` instead.
    """

    bitmask: np.ndarray
    polygons: list[dict]
    rles: list[dict]


def annotate(canvas: Canvas, picture: Picture) -> Annotations:
    """Describe every instance that shows at least one pixel; ids count from 1 in the order of painting."""
    height, width = picture.instance_map.shape
    owner = canvas.table("instance")
    # Shares are counted on the canvas, as the painted area is; what shows is counted on the picture.
    seen = np.bincount(owner, np.bincount(canvas.numbers().ravel(), minlength=len(owner)))
    shown = np.bincount(picture.instance_map.ravel(), minlength=len(canvas.instances) + 1) > 0
    shown[0] = False
    numbers = np.flatnonzero(shown)
    compact = (np.cumsum(shown) * shown)[picture.instance_map]

    categories, flags, polygons, rles = [], {"truncated": [], "occluded": []}, [], []
    for position, number in enumerate(numbers.tolist(), start=1):
        record = canvas.instances[number - 1]
        category = _CATEGORY.get(record.name, record.name)
        categories.append(BDD100K_INS8.labels[BDD100K_INS8.index(category)].raw_id)
        flags["truncated"].append(record.truncated)
        flags["occluded"].append(bool(seen[number] < (1 - _HIDDEN) * record.painted))
        mask = compact == position
        rows, cols = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
        x1, y1, x2, y2 = int(cols[0]), int(rows[0]), int(cols[-1]), int(rows[-1])
        cutout = mask[y1 : y2 + 1, x1 : x2 + 1]
        label = {
            "id": str(position),
            "category": category,
            "attributes": {"occluded": flags["occluded"][-1], "truncated": flags["truncated"][-1], "crowd": False, "ignored": False},
            "box2d": {"x1": x1, "y1": y1, "x2": x2, "y2": y2},
        }
        contours = [[[x + x1, y + y1] for x, y in polygon] for polygon in trace_polygons(cutout)]
        polygons.append(label | {"poly2d": [{"vertices": o, "types": "L" * len(o), "closed": True} for o in contours]})
        runs = runs_from_mask(cutout, origin_xy=(x1, y1), size_hw=(height, width))
        rles.append(label | {"rle": {"counts": encode_counts(counts_from_runs(runs, (height, width))), "size": [height, width]}})
    bitmask = encode_bitmask(compact, categories, range(1, len(categories) + 1), **flags)
    return Annotations(bitmask, polygons, rles)
