"""What an instance data set is made of: instances per image, per class and per size, in plain numbers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mmstreet.formats.records import FLAGS

SIZES = ("small", "medium", "large")
SMALL_PX, MEDIUM_PX = 32**2, 96**2
"""COCO's bounds: below the first is small, below the second medium. Areas are pixels of the original image."""


def size_of(area: float) -> str:
    """Return COCO's word for an area in pixels."""
    return SIZES[0] if area < SMALL_PX else SIZES[1] if area < MEDIUM_PX else SIZES[2]


def count_instances(images: Iterable[Mapping], names: Sequence[str], *, attributes: Sequence[str] = ()) -> dict:
    """Count the labels of a data set.

    Args:
        images: One entry per image with ``instances``, each with ``bbox_label``, ``area`` in pixels and flags, and the attributes.
        names: Class names in the order of the labels.
        attributes: Names of properties of an image to count by value.

    Returns:
        ``images``, ``instances``; ``per_image`` with ``mean``, ``median``, ``max``, ``without`` (images that have none) and ``histogram``
        (number of instances to number of images); ``classes``, per class ``instances``, ``images``, ``percent`` and one number per size;
        ``sizes``; ``flags``; and ``attributes``, per attribute value the number of images. Without images the mean is ``None``.
    """
    per_image, sizes, flags = [], Counter(), Counter()
    classes = [{"name": name, "instances": 0, "images": 0, **dict.fromkeys(SIZES, 0)} for name in names]
    values: dict[str, Counter] = {name: Counter() for name in attributes}
    for image in images:
        per_image.append(len(image["instances"]))
        for instance in image["instances"]:
            size = size_of(instance["area"])
            sizes[size] += 1
            classes[instance["bbox_label"]]["instances"] += 1
            classes[instance["bbox_label"]][size] += 1
            flags.update(flag for flag in FLAGS if instance.get(flag))
        for label in {instance["bbox_label"] for instance in image["instances"]}:
            classes[label]["images"] += 1
        for name, counter in values.items():
            counter[image.get(name, "undefined")] += 1
    total = sum(per_image)
    for row in classes:
        row["percent"] = 100 * row["instances"] / total if total else None
    return {
        "images": len(per_image),
        "instances": total,
        "per_image": {
            "mean": float(np.mean(per_image)) if per_image else None,
            "median": float(np.median(per_image)) if per_image else None,
            "max": max(per_image, default=None),
            "without": per_image.count(0),
            "histogram": dict(sorted(Counter(per_image).items())),
        },
        "classes": classes,
        "sizes": {size: sizes[size] for size in SIZES},
        "flags": {flag: flags[flag] for flag in FLAGS},
        "attributes": {name: dict(counter.most_common()) for name, counter in values.items()},
    }
