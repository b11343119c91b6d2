"""Which classes an image shows: the labels of weak supervision, as a file, from masks, and from the published arrays.

The file ``image_labels.json`` is ``{"classes": [names], "labels": {key: [class ids]}}``. A class id is the place of the name
in ``classes``; background is no class. A key is the image's path below its image folder without the suffix, with forward
slashes: ``aachen/aachen_000000_000019`` for ``aachen/aachen_000000_000019_leftImg8bit.png``.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from tqdm import tqdm

from mmstreet.datasets.layouts import Layout
from mmstreet.datasets.pairs import list_pairs
from mmstreet.files.atomic import atomic_path
from mmstreet.files.parallel import available_cores, map_chunks
from mmstreet.formats.json_stream import load_json
from mmstreet.formats.label_files import read_labels
from mmstreet.labels import LabelTable

RATIO_BINS = 10
"""Bars of the histogram of co-occurrence ratios."""


@dataclass(frozen=True)
class ImageLabels:
    """Class names, and for each image the ids of the classes that it shows.

    Attributes:
        classes: Names in the order of their ids.
        labels: Ascending class ids by image key; an image may show none.

    Raises:
        ValueError: If a name is given twice, or an id is no place in ``classes``; the message names the image.
    """

    classes: tuple[str, ...]
    labels: Mapping[str, tuple[int, ...]]

    def __post_init__(self):
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ValueError(f"image labels need class names that differ, got {list(self.classes)}")
        for key, ids in self.labels.items():
            if not all(isinstance(i, int) and not isinstance(i, bool) and 0 <= i < len(self.classes) for i in ids):
                raise ValueError(
                    f"image '{key}': class ids must be whole numbers from 0 to {len(self.classes) - 1}, got {list(ids)!r:.200}"
                )

    def __len__(self) -> int:
        return len(self.labels)

    def vector(self, key: str) -> np.ndarray:
        """Return which classes an image shows, bool ``[C]``.

        Raises:
            KeyError: If the image has no entry; the message names it and the nearest key that there is.
        """
        if key not in self.labels:
            near = difflib.get_close_matches(key, self.labels, n=1, cutoff=0.0)
            hint = f"the nearest key is '{near[0]}'" if near else "there are no entries at all"
            raise KeyError(f"no image-level labels for '{key}'; {hint}; make them with mmstreet image-labels")
        present = np.zeros(len(self.classes), bool)
        present[list(self.labels[key])] = True
        return present

    def matrix(self) -> np.ndarray:
        """Return all vectors in the order of the keys, bool ``[N, C]``."""
        present = np.zeros((len(self.labels), len(self.classes)), bool)
        for row, ids in zip(present, self.labels.values()):
            row[list(ids)] = True
        return present

    def save(self, path: str | Path) -> None:
        """Write the JSON file."""
        rows = ",\n".join(f"{json.dumps(key, ensure_ascii=False)}: {json.dumps(list(ids))}" for key, ids in self.labels.items())
        with atomic_path(path) as temporary:
            temporary.write_text(
                f'{{"classes": {json.dumps(self.classes, ensure_ascii=False)},\n"labels": {{\n{rows}\n}}}}\n', encoding="utf-8"
            )


def load_image_labels(path: str | Path, *, classes: Sequence[str] | None = None) -> ImageLabels:
    """Read ``image_labels.json``.

    Args:
        path: The file.
        classes: The names that the ids must stand for, in order; ``None`` takes the file's.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is cut off, of another form, or made for other classes.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"no image-level labels at {path}; make them with mmstreet image-labels")
    content = load_json(path)
    names, labels = (content.get("classes"), content.get("labels")) if isinstance(content, dict) else (None, None)
    if not _all_are(names, list, str) or not _all_are(labels, dict, list):
        raise ValueError(f'{path} is no file of image-level labels: expected {{"classes": [names], "labels": {{key: [class ids]}}}}')
    if classes is not None and list(classes) != names:
        raise ValueError(f"{path} is made for other classes: expected {list(classes)}, found {names}")
    try:
        return ImageLabels(tuple(names), {key: tuple(ids) for key, ids in labels.items()})
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error


def _all_are(values: object, container: type, kind: type) -> bool:
    items = values.values() if isinstance(values, dict) else values
    return isinstance(values, container) and all(isinstance(item, kind) for item in items)


def derive_image_labels(
    root: str | Path, layout: Layout, split: str, *, min_pixels: int = 1, workers: int | None = None, progress: bool = False
) -> ImageLabels:
    """Find the classes of each image of a split from its mask.

    Args:
        root: Data root.
        layout: Folder scheme below the root.
        split: ``'train'`` or ``'val'``.
        min_pixels: Pixels that a class needs to count as shown.
        workers: Processes; ``None`` takes one per core, 1 works in this process.
        progress: Show a bar.

    Raises:
        FileNotFoundError: If an image has no mask.
        ValueError: If ``min_pixels`` is less than 1, or a mask cannot be read; the message names it.
    """
    if min_pixels < 1:
        raise ValueError(f"min_pixels must be 1 or more, got {min_pixels}")
    pairs = list_pairs(root, layout, split)
    if any(pair.label_path is None for pair in pairs):
        raise FileNotFoundError(f"split '{split}' of '{root}' has no masks to derive image-level labels from")
    keys, table = [pair.name for pair in pairs], layout.read_table(root)
    work = partial(_classes_of_masks, layout, table, min_pixels)
    found: list[tuple[int, ...]] = []
    with tqdm(total=len(keys), unit="image", disable=None if progress else True) as bar:
        for some in map_chunks(work, (pair.label_path for pair in pairs), workers=available_cores() if workers is None else workers):
            found += some
            bar.update(len(some))
    return ImageLabels(table.names, dict(zip(keys, found)))


def _classes_of_masks(layout: Layout, table: LabelTable, min_pixels: int, paths: list[str]) -> list[tuple[int, ...]]:
    found = []
    for path in paths:
        labels = read_labels(path, table, palette=layout.palette, unlisted=layout.unlisted)
        counts = np.bincount(labels.ravel(), minlength=256)[: len(table)]
        found.append(tuple(np.flatnonzero(counts >= min_pixels).tolist()))
    return found


def describe_image_labels(labels: ImageLabels) -> dict:
    """Count classes per image, classes that occur together, and images with and without each class.

    These are the three statistics by which Kim et al. (Weakly Supervised Semantic Segmentation for Driving Scenes, AAAI 2024, figure 1)
    tell driving scenes from everyday pictures: street images show many classes at once, the same ones nearly always together.

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
