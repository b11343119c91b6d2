"""Small Scalabel files with instances whose pixels can be told by counting."""

import json
from pathlib import Path

import numpy as np

SIZE_HW = (40, 60)


def rectangle(x: int, y: int, width: int, height: int) -> list[dict]:
    """Polygon that owns exactly the pixels ``x … x + width - 1`` by ``y … y + height - 1``."""
    corners = [[x, y], [x + width, y], [x + width, y + height], [x, y + height]]
    return [{"vertices": corners, "types": "LLLL", "closed": True}]


def frame(name: str, labels: list[dict] | None, **entries) -> dict:
    """A raw frame of ``SIZE_HW``."""
    size = {"height": SIZE_HW[0], "width": SIZE_HW[1]}
    return {"name": name, "attributes": {"weather": "rainy", "timeofday": "night"}, "size": size, "labels": labels, **entries}


def random_frames(number: int, seed: int = 0) -> list[dict]:
    """Frames with up to six rectangles that do not overlap, of all classes, ids around the limits of a byte, and random flags."""
    rng = np.random.default_rng(seed)
    names = ["person", "rider", "car", "truck", "bus", "train", "motor", "bike", "other vehicle"]
    frames = []
    for index in range(number):
        ids = rng.permutation([1, 255, 256, 300, 511, 65535])[: rng.integers(0, 7)]
        labels = [
            {
                "id": int(label_id),
                "category": str(rng.choice(names)),
                "attributes": {flag: bool(rng.integers(2)) for flag in ("occluded", "truncated", "crowd", "ignored")},
                "poly2d": rectangle(10 * column + 1, int(rng.integers(0, 20)), int(rng.integers(1, 9)), int(rng.integers(1, 20))),
            }
            for column, label_id in enumerate(ids)
        ]
        frames.append(frame(f"{index:04d}.jpg", labels or None))
    return frames


def write_json(path: Path, content) -> Path:
    """Write JSON and return the path."""
    path.write_text(json.dumps(content))
    return path


def instances_by_key(coco: dict) -> dict:
    """All that a conversion has to keep, by file name and label id: class, flags, box, area, mask."""
    names = {image["id"]: image["file_name"] for image in coco["images"]}
    classes = {category["id"]: category["name"] for category in coco["categories"]}
    found = {}
    for annotation in coco["annotations"]:
        key = (names[annotation["image_id"]], annotation["scalabel_id"])
        assert key not in found
        kept = ("attributes", "iscrowd", "ignore", "bbox", "area", "segmentation")
        found[key] = {"class": classes[annotation["category_id"]]} | {name: annotation.get(name) for name in kept}
    return found
