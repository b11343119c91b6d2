"""Read image files, and refuse half of one."""

from __future__ import annotations

import io
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_TAIL = 4096
"""Some cameras write a few bytes after the end marker."""


class ImageFileError(ValueError):
    """An image file that cannot be used; the message names file and reason."""


def read_image(path: str | Path) -> np.ndarray:
    """Read an image as BGR.

    OpenCV versions differ on a truncated JPEG: some return it with its lower part grey, and a training would learn that. A
    JPEG without its end marker is therefore refused here.

    Args:
        path: Image file that OpenCV can decode.

    Returns:
        BGR, uint8 ``[H, W, 3]``. Orientation tags do not count, since labels are drawn on the pixels as stored.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageFileError: If it is truncated or cannot be decoded.
    """
    data = Path(path).read_bytes()
    _require_end(data, path)
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION) if data else None
    if image is None:
        raise ImageFileError(f"image {path} cannot be decoded ({len(data)} bytes); fetch it again")
    return image


def read_rgb(path: str | Path) -> np.ndarray:
    """Read an image as RGB, uint8 ``[H, W, 3]``; otherwise as :func:`read_image`."""
    return cv2.cvtColor(read_image(path), cv2.COLOR_BGR2RGB)


def probe_image(path: str | Path) -> tuple[int, int]:
    """Go through an image's data and return its height and width; a JPEG is decoded at an eighth of its size, which is fast.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageFileError: If it is truncated or cannot be decoded.
    """
    data = Path(path).read_bytes()
    _require_end(data, path)
    try:
        image = Image.open(io.BytesIO(data))
        width, height = image.size
        image.draft("L", (width // 8, height // 8))
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageFileError(f"image {path} cannot be decoded ({error}); fetch it again") from error
    return height, width


def _require_end(data: bytes, path: str | Path) -> None:
    if data.startswith(_JPEG_START) and _JPEG_END not in data[-_TAIL:]:
        raise ImageFileError(f"image {path} is truncated ({len(data)} bytes, no end marker); fetch it again")
