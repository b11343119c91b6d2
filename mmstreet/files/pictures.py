"""Write pictures of images and label maps as small files, with Pillow."""

from __future__ import annotations

import io
import zlib
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmstreet.files.atomic import atomic_path, write_bytes
from mmstreet.files.colors import IGNORED, NO_CLASS
from mmstreet.files.images import open_header, orientation_of, read_regular_file, read_rgb
from mmstreet.files.label_ids import IGNORE_INDEX

WIDTH_PX = 640


def write_photo(image: np.ndarray, path: str | Path, *, width_px: int = WIDTH_PX) -> Path:
    """Write an image as a JPEG no wider than ``width_px``; a wider one is made smaller by averaging.

    Args:
        image: RGB, uint8 ``[H, W, 3]``.
        path: The file; its folder is made if it is missing.
        width_px: Greatest width.
    """
    picture = Image.fromarray(np.ascontiguousarray(image))
    if picture.width > width_px:
        picture = picture.resize(_fit(picture.height, picture.width, width_px)[::-1], Image.Resampling.LANCZOS)
    with atomic_path(path) as temporary:
        picture.save(temporary, "JPEG", quality=82)
    return Path(path)


def copy_photo(source: str | Path, path: str | Path, *, orientation: str = "stored") -> Path:
    """Write the photograph of a file as :func:`write_photo` does; a JPEG that is small enough and upright is copied, byte by byte.

    Args:
        source: The photograph, as :func:`~mmstreet.files.images.read_image` takes it, with its errors.
        path: The JPEG file.
        orientation: See :func:`~mmstreet.files.images.read_image`.
    """
    data = read_regular_file(source)
    header = open_header(data, source)
    plain = header is not None and header.format == "JPEG" and header.mode in ("RGB", "L")
    if plain and header.width <= WIDTH_PX and orientation_of(header) == 1:
        return write_bytes(data, path, durable=False)
    return write_photo(read_rgb(source, orientation=orientation), path)


def nearest_places(height: int, width: int, *, width_px: int = WIDTH_PX) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows and the columns of a map that stand for those of the picture that :func:`write_photo` makes of its image."""
    small = (height, width) if width <= width_px else _fit(height, width, width_px)
    return tuple(((np.arange(new) + 0.5) * old / new).astype(int) for new, old in zip(small, (height, width)))


def shrink_ids(ids: np.ndarray, *, width_px: int = WIDTH_PX) -> np.ndarray:
    """Return class ids ``[H, W]`` at the size of the picture that :func:`write_photo` writes, each the nearest of the original."""
    return ids[np.ix_(*nearest_places(*ids.shape, width_px=width_px))]


def write_label_map(
    ids: np.ndarray, palette: Sequence[Sequence[int]], path: str | Path, *, ignore_index: int = IGNORE_INDEX, fast: bool = False
) -> Path:
    """Write class ids as an indexed PNG, see :func:`encode_label_map`; the file's folder is made if it is missing."""
    return write_bytes(encode_label_map(ids, palette, ignore_index=ignore_index, fast=fast), path, durable=False)


def encode_label_map(ids: np.ndarray, palette: Sequence[Sequence[int]], *, ignore_index: int = IGNORE_INDEX, fast: bool = False) -> bytes:
    """Return class ids as an indexed PNG: its pixel values are the ids, and viewers show them in the colours of the classes.

    Args:
        ids: Integers ``[H, W]``. Every id from ``len(palette)`` on is written as ``len(palette)``, "no class", dark grey; ignored
            pixels are written as 255, black.
        palette: RGB of each class; a black class is shown dark grey, for black means ignored.
        ignore_index: Id of ignored pixels in ``ids``.
        fast: Compress in half of the time; the file is a sixth to a half larger.

    Raises:
        ValueError: If there are more than 254 classes.
    """
    count = len(palette)
    if count >= IGNORE_INDEX:
        raise ValueError(f"an indexed PNG holds at most 254 classes and the ids of background and ignored pixels, got {count} classes")
    colors = np.full((IGNORE_INDEX + 1, 3), NO_CLASS, np.uint8)
    colors[:count] = np.asarray(palette, np.uint8).reshape(count, 3)
    colors[(colors == 0).all(1)] = NO_CLASS
    colors[IGNORE_INDEX] = IGNORED
    picture = Image.fromarray(_as_bytes(ids, count, ignore_index))
    picture.putpalette(colors.tobytes())
    data = io.BytesIO()
    # Label maps are runs of equal ids: zlib's run lengths are the quickest of its ways.
    picture.save(data, "PNG", **({"compress_type": zlib.Z_RLE} if fast else {}))
    return data.getvalue()


def _as_bytes(ids: np.ndarray, count: int, ignore_index: int) -> np.ndarray:
    if ids.dtype != np.uint8:
        return np.where(ids == ignore_index, IGNORE_INDEX, np.minimum(ids, count)).astype(np.uint8)
    table = np.minimum(np.arange(256), count).astype(np.uint8)
    if 0 <= ignore_index < 256:
        table[ignore_index] = IGNORE_INDEX
    return cv2.LUT(np.ascontiguousarray(ids), table)


def _fit(height: int, width: int, width_px: int) -> tuple[int, int]:
    return max(1, round(height * width_px / width)), width_px
