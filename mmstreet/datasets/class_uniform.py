"""A data set that shows every class equally often, by where each class is."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
from mmengine.registry import DATASETS as ROOT_DATASETS

from mmstreet.files.parallel import available_cores
from mmstreet.labels import IGNORE_INDEX
from mmstreet.registry import DATASETS


@DATASETS.register_module()
class ClassUniformSemSeg:
    """A data set in which a share of the samples is chosen class by class (Zhu et al., CVPR 2019).

    A table says in which images each class is, and where: the centroids of the tiles that hold enough of its pixels. With probability
    ``share`` a sample is replaced: a class is drawn evenly from those that occur, then an image evenly from those that show it, then one of
    its tiles, and ``mmstreet.RandomScaleCrop`` cuts a window that covers the centroid. Otherwise the sample is the one that was asked for.

    The table is made when the file list is read, from every label file once, and is kept in memory. Draws are from numpy's global
    generator; with ``mmstreet.ExactResumeHook`` they depend on seed, epoch and place alone, for any number of workers.

    Args:
        dataset: A data set of mmstreet with ``LoadLabels``, then ``RandomScaleCrop``, in its pipeline; ``RemapLabels`` may stand between.
        share: Probability that a sample is drawn by class, in [0, 1].
        tile_px: Side of a tile in pixels of the label file.
        least_pixels: Pixels of a class that a tile has to hold.
        lazy_init: Read files at first use.

    Raises:
        ValueError: If a setting is out of range, the pipeline is not as above, or no tile holds enough pixels of any class.
    """

    def __init__(
        self, *, dataset: Mapping | Any, share: float = 0.5, tile_px: int = 120, least_pixels: int = 20, lazy_init: bool = False
    ) -> None:
        if not (0 <= share <= 1 and tile_px >= 1 and least_pixels >= 1):
            raise ValueError(
                "ClassUniformSemSeg expects share in [0, 1], tile_px >= 1 and least_pixels >= 1, "
                f"got share={share}, tile_px={tile_px}, least_pixels={least_pixels}"
            )
        self.dataset = ROOT_DATASETS.build({**dataset, "lazy_init": True}) if isinstance(dataset, Mapping) else dataset
        self.share = share
        self.tile_px = tile_px
        self.least_pixels = least_pixels
        self._label_steps = _label_steps(getattr(getattr(self.dataset, "pipeline", None), "transforms", []))
        self._places: list[list[np.ndarray]] | None = None
        if not lazy_init:
            self.full_init()

    @property
    def metainfo(self) -> dict:
        """Classes and palette of the data set."""
        return self.dataset.metainfo

    def full_init(self) -> None:
        """Read the file list and make the table."""
        self.dataset.full_init()
        if self._places is None and self.share:
            self._places = self._find_places()

    def get_data_info(self, idx: int) -> dict:
        """Return one entry of the file list."""
        return self.dataset.get_data_info(idx)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, idx: int) -> dict:
        self.full_init()
        if not self.share or np.random.uniform() >= self.share:  # noqa: NPY002 - see the class
            return self.dataset[idx]
        image, y, x = self._draw_place()
        sample = self.dataset.pipeline({**self.dataset.get_data_info(image), "crop_anchor_yx": (y, x)})
        return self.dataset[idx] if sample is None else sample

    def _draw_place(self) -> tuple[int, int, int]:
        choices: Any = self._places
        for _ in range(3):  # class, image, tile
            choices = choices[np.random.randint(len(choices))]  # noqa: NPY002 - see the class
        return tuple(int(value) for value in choices)

    def _find_places(self) -> list[list[np.ndarray]]:
        """Return for each class that occurs, for each image that shows it, the places ``[N, 3]``: image, y, x."""
        num_classes = len(self.metainfo["classes"])

        def find(index: int) -> tuple[np.ndarray, np.ndarray]:
            results = self.dataset.get_data_info(index)
            for step in self._label_steps:
                results = step(results)
            return tile_centroids(results["gt_seg_map"], num_classes, tile_px=self.tile_px, least_pixels=self.least_pixels)

        places: list[list[np.ndarray]] = [[] for _ in range(num_classes)]
        with ThreadPoolExecutor(min(8, available_cores())) as pool:
            for index, (ids, centroids_yx) in enumerate(pool.map(find, range(len(self.dataset)))):
                for train_id in np.unique(ids):
                    own = centroids_yx[ids == train_id]
                    places[train_id].append(np.column_stack([np.full(len(own), index), own]))
        occurring = [images for images in places if images]
        if not occurring:
            raise ValueError(f"ClassUniformSemSeg found no tile with {self.least_pixels} pixels of a class; lower least_pixels")
        return occurring


def tile_centroids(labels: np.ndarray, num_classes: int, *, tile_px: int, least_pixels: int) -> tuple[np.ndarray, np.ndarray]:
    """Find the tiles that hold enough pixels of a class.

    Args:
        labels: Train ids or 255, uint8 ``[H, W]``.
        num_classes: Number of classes.
        tile_px: Side of a tile; those at the right and lower border are smaller.
        least_pixels: Pixels that are enough.

    Returns:
        Train ids ``[N]`` and centroids ``[N, 2]``, y and x in whole pixels; a class has one row per tile.
    """
    ys, xs = np.nonzero(labels != IGNORE_INDEX)
    columns = -(-labels.shape[1] // tile_px)
    keys = (ys // tile_px * columns + xs // tile_px) * num_classes + labels[ys, xs]
    counts = np.bincount(keys)
    enough = np.flatnonzero(counts >= least_pixels)
    sums = (np.bincount(keys, weights=values)[enough] for values in (ys, xs))
    return enough % num_classes, np.stack([np.rint(total / counts[enough]).astype(int) for total in sums], 1)


def _label_steps(steps: list) -> list:
    """Return the steps that make the label map, and check that a crop which follows an anchor comes right after them."""
    labels = [place for place, step in enumerate(steps) if hasattr(step, "label_table")]
    behind = [step for step in steps[labels[-1] + 1 :] if not getattr(step, "keeps_places", False)] if labels else []
    if not (behind and getattr(behind[0], "follows_anchor", False)):
        raise ValueError(
            "ClassUniformSemSeg needs a data set of mmstreet whose pipeline loads labels with mmstreet.LoadLabels and crops with "
            "mmstreet.RandomScaleCrop right behind"
        )
    return [steps[place] for place in labels]
