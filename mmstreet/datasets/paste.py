"""Copy-paste: single objects of other images, cut out along their instance masks, in scenes that have too few of them."""
# ruff: noqa: NPY002 - draws are from numpy's global generator, as those of OpenMMLab's transforms

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from mmcv.transforms import BaseTransform

from mmstreet.files.images import read_image
from mmstreet.files.parallel import available_cores
from mmstreet.formats.bitmask import read_bitmask
from mmstreet.labels import BDD100K_INS8, LabelTable
from mmstreet.registry import TRANSFORMS

_SEMANTIC_NAMES = {"pedestrian": "person"}
"""Names of instance classes that semantic tables call otherwise."""


@TRANSFORMS.register_module()
class PasteInstances(BaseTransform):
    """Paste objects from BDD100K's instance bitmasks into image and label map (Ghiasi et al., CVPR 2021, with one camera in mind).

    A class is drawn evenly from those that the bitmasks have, so that rare ones are pasted as often as others, then one of its objects.
    It keeps its size and its height in the image, which fit together for a camera on a car; its place along the row is drawn evenly from
    those where its foot stands on flat ground, and it is left out where there is none.
    Objects that are occluded, truncated, crowds or ignored are left out: they would be pasted with a piece missing.

    It goes right behind ``mmstreet.LoadLabels``, before ``RemapLabels`` and before any resizing. All bitmasks are read once, when the
    pipeline is built.

    Args:
        images: Folder of the images, ``NAME.jpg`` or ``NAME.png``.
        bitmasks: Folder of their bitmasks, ``NAME.png``.
        classes: Instance classes to paste, names of the table ``bdd100k_ins8``.
        prob: Share of the images that get objects.
        max_objects: Objects per image, 1 to so many.
        least_pixels: Smaller objects are left out.

    Raises:
        FileNotFoundError: If there are no bitmasks, or an image of one is missing.
        KeyError: If a class is not in ``bdd100k_ins8``.
        ValueError: If a setting is out of range or no object is left to paste; at run time, if an image has another size than that of an
            object, or the class table lacks its class.
    """

    keeps_places = True
    """Pixels stay where they are, so places in the label file remain right."""

    def __init__(
        self,
        *,
        images: str,
        bitmasks: str,
        classes: Sequence[str] = ("pedestrian", "rider", "motorcycle", "bicycle"),
        prob: float = 0.5,
        max_objects: int = 3,
        least_pixels: int = 300,
    ):
        if not (0 <= prob <= 1 and max_objects >= 1 and least_pixels >= 1):
            raise ValueError(
                "PasteInstances expects prob in [0, 1], max_objects >= 1 and least_pixels >= 1, "
                f"got prob={prob}, max_objects={max_objects}, least_pixels={least_pixels}"
            )
        self.prob = prob
        self.max_objects = max_objects
        self.least_pixels = least_pixels
        names = {BDD100K_INS8.labels[BDD100K_INS8.index(name)].raw_id: name for name in classes}
        paths = sorted(Path(bitmasks).glob("*.png"))
        if not paths:
            raise FileNotFoundError(f"PasteInstances found no bitmasks NAME.png in '{bitmasks}'")
        self._objects: dict[str, list[tuple[Path, Path, int]]] = {name: [] for name in classes}
        with ThreadPoolExecutor(min(8, available_cores())) as pool:
            for path, values in zip(paths, pool.map(self._usable, paths), strict=True):
                for value in values:
                    if value & 255 in names:
                        self._objects[names[value & 255]].append((_image_of(path, images), path, value))
        self._objects = {name: objects for name, objects in self._objects.items() if objects}
        if not self._objects:
            raise ValueError(f"'{bitmasks}' has no whole, unoccluded object of {', '.join(classes)} with {least_pixels} pixels")

    def transform(self, results: dict) -> dict:
        """Paste into ``img``, uint8 ``[H, W, 3]``, and ``gt_seg_map``, uint8 ``[H, W]``."""
        if np.random.uniform() >= self.prob:
            return results
        image, labels = results["img"].copy(), results["gt_seg_map"].copy()
        for _ in range(np.random.randint(1, self.max_objects + 1)):
            name = list(self._objects)[np.random.randint(len(self._objects))]
            image_path, path, value = self._objects[name][np.random.randint(len(self._objects[name]))]
            mask = _words(read_bitmask(path)) == value
            if mask.shape != labels.shape:
                raise ValueError(
                    f"PasteInstances pastes into images of the size of its bitmasks, {mask.shape[1]}x{mask.shape[0]} for {path}, but "
                    f"{results.get('img_path', 'an image')} is {labels.shape[1]}x{labels.shape[0]}"
                )
            train_id = self._train_id(results, name)
            ys, xs = np.nonzero(mask)
            shifts = _shifts_onto_ground(ys, xs, np.isin(labels, _ground_ids(results["label_table"])))
            if len(shifts):
                shift = np.random.choice(shifts)
                image[ys, xs + shift] = read_image(image_path)[ys, xs]
                labels[ys, xs + shift] = train_id
        return results | {"img": image, "gt_seg_map": labels}

    def _train_id(self, results: dict, name: str) -> int:
        table, semantic = results["label_table"], _SEMANTIC_NAMES.get(name, name)
        if semantic not in table.names:
            raise ValueError(f"PasteInstances cannot paste '{name}': table '{table.name}' has no class '{semantic}'")
        return table.index(semantic)

    def _usable(self, path: Path) -> list[int]:
        """Return the words of the objects of a bitmask that are whole and large enough."""
        values, counts = np.unique(_words(read_bitmask(path)), return_counts=True)
        whole = (values & 255 > 0) & (values >> 8 & 255 == 0) & (counts >= self.least_pixels)
        return values[whole].tolist()

    def __repr__(self) -> str:
        found = ", ".join(f"{len(objects)} {name}" for name, objects in self._objects.items())
        return f"PasteInstances({found}, prob={self.prob}, max_objects={self.max_objects}, least_pixels={self.least_pixels})"


def _ground_ids(table: LabelTable) -> list[int]:
    return table.groups.get("flat", [])


def _shifts_onto_ground(ys: np.ndarray, xs: np.ndarray, ground: np.ndarray) -> np.ndarray:
    """Return how far an object may move along the row so that it stays in the image and its lowest pixels' middle is on the ground."""
    foot = int(xs[ys == ys.max()].mean())
    shifts = np.arange(-xs.min(), ground.shape[1] - xs.max())
    return shifts[ground[ys.max(), foot + shifts]]


def _words(rgba: np.ndarray) -> np.ndarray:
    """Read class, flags and id of each pixel as one number, uint32 ``[H, W]``: the lowest byte is the class, the next the flags."""
    return np.ascontiguousarray(rgba).view("<u4")[..., 0]


def _image_of(bitmask: Path, images: str) -> Path:
    for suffix in (".jpg", ".png"):
        path = Path(images) / f"{bitmask.stem}{suffix}"
        if path.is_file():
            return path
    raise FileNotFoundError(f"bitmask {bitmask} has no image {bitmask.stem}.jpg or .png in '{images}'")
