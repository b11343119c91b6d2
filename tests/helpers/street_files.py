"""Data sets of a few small files, written the obvious way."""

from pathlib import Path

import numpy as np
from PIL import Image

from mmstreet.datasets.layouts import LAYOUTS


def write_image(path: Path, hw: tuple[int, int] = (24, 32), *, value: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((*hw, 3), value, np.uint8)).save(path)
    return path


def write_labels(path: Path, labels: np.ndarray, *, palette: list[int] | None = None) -> Path:
    """Write an id map [H, W], an RGB(A) map [H, W, 3 or 4], or, with ``palette``, indices into it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(np.asarray(labels, np.uint8), "P" if palette else None)
    if palette:
        image.putpalette(palette)
    image.save(path)
    return path


def make_root(root: Path, layout: str, names: dict[str, list[str]], *, hw: tuple[int, int] = (24, 32), num_classes: int = 3) -> Path:
    """Write images and labels of the given names per split; label ``i`` of a split is all class ``i % num_classes``."""
    scheme = LAYOUTS[layout]
    for split, stems in names.items():
        for i, stem in enumerate(stems):
            image, label = scheme.expected(root, split, stem)
            write_image(image, hw)
            write_labels(label, np.full(hw, i % num_classes))
    return root


def truncate(path: Path, share: float = 0.5) -> Path:
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path
