"""The label maps of a whole test in one archive, by the number of the image."""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image

from mmstreet.files.atomic import atomic_path

FILE = "predictions.zip"
_MAX_PIXELS, _MAX_BYTES = 1 << 22, 1 << 22


def decode_ids(source: bytes | Path) -> np.ndarray:
    """Return the class ids of a PNG, grey or indexed, given as bytes or as a file, uint8 ``[H, W]``.

    Raises:
        ValueError: If the data are no such picture, or one of more than four million pixels.
    """
    try:
        with Image.open(io.BytesIO(source) if isinstance(source, bytes) else source, formats=("PNG",)) as picture:
            if picture.mode not in ("L", "P") or picture.width * picture.height > _MAX_PIXELS:
                raise ValueError(f"it is a picture of {picture.size} with mode {picture.mode}")
            return np.array(picture, np.uint8)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"it is no label map that can be shown ({error})") from error


def write_label_archive(maps: Mapping[int, bytes], path: str | Path) -> Path:
    """Write label maps, as :func:`~mmstreet.files.pictures.encode_label_map` returns them, into one file."""
    with atomic_path(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for number, data in maps.items():
            archive.writestr(zipfile.ZipInfo(_name(number)), data)  # without a date, so that equal maps give equal files
    return Path(path)


def read_label_archive(path: str | Path, number: int) -> np.ndarray | None:
    """Return the label map of an image, uint8 ``[H, W]``; ``None`` if the archive has none of it.

    Raises:
        ValueError: If the file is no such archive.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            if _name(number) not in archive.NameToInfo:
                return None
            with archive.open(_name(number)) as file:
                data = file.read(_MAX_BYTES)
    except (OSError, EOFError, zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"it is no archive of label maps ({type(error).__name__}: {error})") from error
    return decode_ids(data)


def _name(number: int) -> str:
    return f"{number:06d}.png"
