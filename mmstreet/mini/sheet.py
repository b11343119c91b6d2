"""A contact sheet: pictures of a data set beside their class colours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

from mmstreet.labels import BDD100K_SEM19, colorize


def write_contact_sheet(root: str | Path, path: str | Path, *, count: int = 12, width: int = 320, columns: int = 2) -> Path:
    """Write a PNG with pictures and their class colours side by side.

    Args:
        root: Data root that :func:`mmstreet.mini.writer.write_mini_dataset` wrote.
        path: PNG to write.
        count: Pictures to show at most, the first ones of the validation split, else of the training split.
        width: Width of each picture in pixels.
        columns: Pairs side by side.

    Returns:
        The path.

    Raises:
        FileNotFoundError: If the data root has no pictures.
    """
    root, path = Path(root), Path(path)
    names = [
        p.relative_to(root / "images/10k").with_suffix("")
        for split in ("val", "train")
        for p in sorted((root / "images/10k" / split).glob("*.jpg"))
    ]
    if not names:
        raise FileNotFoundError(f"no pictures below '{root / 'images/10k'}'; write the data set first, with mmstreet mini")
    pairs = [_read_pair(root, name, width) for name in names[:count]]
    pairs += [np.zeros_like(pairs[0])] * (-len(pairs) % columns)
    rows = [np.concatenate(pairs[i : i + columns], axis=1) for i in range(0, len(pairs), columns)]
    path.parent.mkdir(parents=True, exist_ok=True)
    # A palette without dithering keep the file small and the label colours flat.
    Image.fromarray(np.concatenate(rows)).quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)
    return path


def _read_pair(root: Path, name: Path, width: int) -> np.ndarray:
    image = Image.open(root / "images/10k" / name.with_suffix(".jpg"))
    labels = np.array(Image.open(root / "labels/sem_seg/masks" / name.with_suffix(".png")))
    size = (width, round(width * image.height / image.width))
    colors = Image.fromarray(colorize(labels, BDD100K_SEM19))
    return np.concatenate(
        [np.array(image.resize(size, Image.Resampling.LANCZOS)), np.array(colors.resize(size, Image.Resampling.NEAREST))], axis=1
    )
