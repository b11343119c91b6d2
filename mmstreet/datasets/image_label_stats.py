"""What a set's image-level labels look like: classes per image, classes that occur together, images with and without each class.

These are the three statistics by which Kim et al. (Weakly Supervised Semantic Segmentation for Driving Scenes, AAAI 2024,
figure 1) tell driving scenes from everyday pictures: street images show many classes at once, the same ones nearly always together.
"""

from __future__ import annotations

import numpy as np

from mmstreet.datasets.image_labels import ImageLabels

RATIO_BINS = 10
"""Bars of the histogram of co-occurrence ratios."""


def describe_image_labels(labels: ImageLabels) -> dict:
    """Count classes per image, co-occurrences and positive images.

    Returns:
        A dictionary that JSON knows: ``images`` N, ``classes``, ``images_by_num_classes`` int ``[C + 1]`` (images that show 0 … C
        classes), ``mean_classes_per_image`` (``None`` without images), ``positive`` and ``negative`` images int ``[C]``,
        ``co_occurrence`` float ``[C][C]`` (row ``i``, column ``j``: share of the images with class ``i`` that also show
        class ``j``; ``None`` on the diagonal and where no image shows ``i``), and ``ratio_histogram`` int ``[RATIO_BINS]``
        (those shares in bins of equal width from 0 to 1, the last one closed).
    """
    present = labels.matrix()
    num_classes = len(labels.classes)
    together = present.T.astype(np.int64) @ present.astype(np.int64)
    positive = together.diagonal()
    measured = (positive[:, None] > 0) & ~np.eye(num_classes, dtype=bool)
    ratios = together / np.maximum(positive, 1)[:, None]
    per_image = present.sum(axis=1)
    return {
        "images": len(labels),
        "classes": list(labels.classes),
        "mean_classes_per_image": float(per_image.mean()) if len(labels) else None,
        "images_by_num_classes": np.bincount(per_image, minlength=num_classes + 1).tolist(),
        "positive": positive.tolist(),
        "negative": (len(labels) - positive).tolist(),
        "co_occurrence": np.where(measured, ratios, None).tolist(),
        "ratio_histogram": np.histogram(ratios[measured], bins=RATIO_BINS, range=(0, 1))[0].tolist(),
    }
