"""Read image files: whole ones only, of a size that fits into memory, and with one rule for orientation tags."""

from __future__ import annotations

import io
import os
import re
import stat
import threading
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np
from PIL import Image

from mmstreet.files.atomic import write_bytes
from mmstreet.files.tar_members import is_address, read_member

MAX_PIXELS = 100_000_000
"""Largest image that is decoded, in pixels: 300 MB as RGB. Street cameras give 1 to 20 million. The environment variable
``MMSTREET_MAX_PIXELS`` sets another limit, for worker processes too."""
ORIENTATIONS = ("stored", "exif")
"""Rules for orientation tags: pixels as they are stored, or turned as the tag says."""

PICTURE_NAME = re.compile(r"\.(jpe?g|png|gif|hei[cf]|avif|bmp|tiff?|webp|dng|raw|cr2|nef|arw)$", re.IGNORECASE)
"""Ends of the names of picture files, also of forms that nothing here reads: left out, they have to be named."""

_JPEG_START, _JPEG_END = b"\xff\xd8", b"\xff\xd9"
_TAIL = 4096
"""Some cameras write a few bytes after the end marker."""
_ORIENTATION_TAG = 0x0112
_TURNS = {2: (0, 0, 1), 3: (0, 1, 1), 4: (0, 1, 0), 5: (1, 0, 0), 6: (1, 0, 1), 7: (1, 1, 1), 8: (1, 1, 0)}
"""Orientation tag to whether rows and columns change places, then whether rows and columns are reversed (EXIF 2.32, tag 0x0112)."""
SIDEWAYS = tuple(tag for tag, (transpose, _, _) in _TURNS.items() if transpose)
"""Orientation tags that make height of width."""
_NO_RANGE = "image {path} holds values of type {dtype}, whose range is not known; save it with 8 or 16 bits"
_pillow_limit = threading.Lock()


class ImageFileError(ValueError):
    """An image file that cannot be used; the message names file and reason."""


class ImageProbe(NamedTuple):
    """Height and width as stored, and the orientation tag; 1 means upright and is also the value where there is no tag."""

    height: int
    width: int
    orientation: int


def read_image(path: str | Path, *, orientation: str = "stored") -> np.ndarray:
    """Read an image as BGR.

    OpenCV versions differ on a truncated JPEG: some return it with its lower part grey, and a training would learn that. A
    JPEG without its end marker is therefore refused here.

    Args:
        path: Image file that OpenCV can decode. An alpha channel is dropped; of 16 bits per channel the upper 8 are kept.
        orientation: ``'stored'`` leaves the pixels as they are in the file, which label maps usually follow; ``'exif'`` turns and
            mirrors them as the orientation tag says, as picture viewers show them.

    Returns:
        BGR, uint8 ``[H, W, 3]``.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageFileError: If it is no regular file, truncated, larger than the limit (:data:`MAX_PIXELS`), of float values, or
            cannot be decoded.
        ValueError: If ``orientation`` is neither.
    """
    if orientation not in ORIENTATIONS:
        raise ValueError(f"orientation must be 'stored' or 'exif', not {orientation!r}")
    data = read_regular_file(path)
    _require_end(data, path)
    header = open_header(data, path)
    flags = cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH | cv2.IMREAD_IGNORE_ORIENTATION
    try:
        image = cv2.imdecode(np.frombuffer(data, np.uint8), flags) if data else None
    except cv2.error as error:
        raise ImageFileError(f"image {path} cannot be decoded ({error.err or error}); fetch it again") from error
    if image is None:
        raise ImageFileError(f"image {path} cannot be decoded ({len(data)} bytes); fetch it again")
    if image.dtype == np.uint16:
        image = (image >> 8).astype(np.uint8)
    if image.dtype != np.uint8:
        raise ImageFileError(_NO_RANGE.format(path=path, dtype=image.dtype))
    return _turn(image, orientation_of(header)) if orientation == "exif" else image


def read_rgb(path: str | Path, *, orientation: str = "stored") -> np.ndarray:
    """Read an image as RGB, uint8 ``[H, W, 3]``; otherwise as :func:`read_image`."""
    return cv2.cvtColor(read_image(path, orientation=orientation), cv2.COLOR_BGR2RGB)


def as_rgb(image: object, *, orientation: str = "stored") -> np.ndarray:
    """Return an image as RGB, uint8 ``[H, W, 3]``.

    Args:
        image: Path of a file (see :func:`read_rgb`; an alpha channel is dropped and of 16 bits the upper 8 are kept, as in training),
            a PIL image, or an array or tensor in RGB order: ``[H, W, 3]``, ``[H, W]`` or ``[H, W, 1]`` for grey, or ``[H, W, 4]`` with
            alpha, which is dropped; uint8, or uint16 of which the upper 8 bits are kept.
        orientation: For files, as in :func:`read_image`.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageFileError: If the file cannot be decoded.
        ValueError: If an array has another shape or type. Float images are refused; convert ``0…1`` to ``0…255`` first.
    """
    if isinstance(image, str | Path):
        return read_rgb(image, orientation=orientation)
    array = np.asarray(image if not hasattr(image, "convert") else image.convert("RGB"))
    if array.dtype == np.uint16:
        array = (array >> 8).astype(np.uint8)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)) or not array.size:
        raise ValueError(
            f"an image is RGB uint8 [H, W, 3], grey [H, W] or RGBA [H, W, 4], or uint16 of these shapes; got {array.dtype} "
            f"{list(array.shape)}; convert it first"
        )
    if array.ndim == 2 or array.shape[2] == 1:
        return np.repeat(array.reshape(*array.shape[:2], 1), 3, axis=2)
    return np.ascontiguousarray(array[..., :3])


def probe_image(path: str | Path) -> ImageProbe:
    """Go through an image's data and return its size and orientation; a JPEG is decoded at an eighth of its size, which is fast.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageFileError: As in :func:`read_image`.
    """
    data = read_regular_file(path)
    _require_end(data, path)
    image = open_header(data, path)
    if image is None:
        return ImageProbe(*read_image(path).shape[:2], 1)
    width, height = image.size
    try:
        image.draft("L", (width // 8, height // 8))
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise ImageFileError(f"image {path} cannot be decoded ({error}); fetch it again") from error
    return ImageProbe(height, width, orientation_of(image))


def read_regular_file(path: str | Path) -> bytes:
    """Read a file, or a member of a tar archive (see :mod:`mmstreet.files.tar_members`), but no folder, pipe or device.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageFileError: If it is no regular file; links to one are followed.
    """
    if is_address(path):
        return read_member(path)
    if not stat.S_ISREG(os.stat(path).st_mode):
        raise ImageFileError(f"{path} is no regular file but a folder, pipe or device")
    return Path(path).read_bytes()


def open_header(data: bytes, path: str | Path) -> Image.Image | None:
    """Parse an image's header and check its size; no pixel is decoded yet.

    Args:
        data: The file.
        path: Its name, for the message.

    Returns:
        Pillow's image, or ``None`` if Pillow does not know the format.

    Raises:
        ImageFileError: If the image is larger than the limit, see :data:`MAX_PIXELS`, or holds float values.
    """
    with _pillow_limit:  # Pillow's own limit is a module global that no reader can raise for itself
        theirs, Image.MAX_IMAGE_PIXELS = Image.MAX_IMAGE_PIXELS, None
        try:
            image = Image.open(io.BytesIO(data))
        except (OSError, SyntaxError, ValueError):
            return None
        finally:
            Image.MAX_IMAGE_PIXELS = theirs
    if image.mode == "F":
        raise ImageFileError(_NO_RANGE.format(path=path, dtype="float32"))
    limit = _read_limit()
    width, height = image.size
    if width * height > limit:
        raise ImageFileError(
            f"image {path} is {width}x{height}, {width * height:,} pixels, and the limit is {limit:,}; "
            "make it smaller, or set the environment variable MMSTREET_MAX_PIXELS"
        )
    return image


def _read_limit() -> int:
    text = os.environ.get("MMSTREET_MAX_PIXELS", str(MAX_PIXELS))
    if not text.isdecimal():
        raise ImageFileError(f"the environment variable MMSTREET_MAX_PIXELS must be a number of pixels, not '{text}'")
    return int(text)


def orientation_of(image: Image.Image | None) -> int:
    """Return the orientation tag of Pillow's image, 1 where there is none."""
    try:
        tag = 1 if image is None else image.getexif().get(_ORIENTATION_TAG, 1)
    except (OSError, SyntaxError, ValueError, KeyError, TypeError):  # a damaged block of metadata says nothing
        return 1
    return tag if tag in _TURNS else 1


def _turn(image: np.ndarray, tag: int) -> np.ndarray:
    transpose, rows, columns = _TURNS.get(tag, (0, 0, 0))
    if transpose:
        image = image.swapaxes(0, 1)
    return np.ascontiguousarray(image[:: -1 if rows else 1, :: -1 if columns else 1])


def as_contiguous(image: np.ndarray) -> np.ndarray:
    """Return an image or label map whose rows lie one after the other, as OpenCV writes them; a copy only where it is a view.

    numpy copies a mirrored view byte by byte; OpenCV mirrors what is behind it forty times as fast.
    """
    if image.flags.c_contiguous:
        return image
    rows, columns = (stride < 0 for stride in image.strides[:2])
    if not rows and not columns:
        return np.ascontiguousarray(image)
    plain = np.ascontiguousarray(image[:: -1 if rows else 1, :: -1 if columns else 1])
    return cv2.flip(plain, -1 if rows and columns else 0 if rows else 1)


def write_image(image: np.ndarray, path: str | Path, *, settings: list[int] | None = None) -> Path:
    """Write an image file, whole or not at all.

    Args:
        image: BGR, uint8 ``[H, W, 3]``, or one channel ``[H, W]``.
        path: The file; its suffix says the format.
        settings: OpenCV's pairs of key and value.

    Raises:
        OSError: If OpenCV cannot encode it, or it cannot be written.
    """
    done, data = cv2.imencode(Path(path).suffix, image, settings or [])
    if not done:
        raise OSError(f"OpenCV cannot encode '{path}'")
    return write_bytes(data.tobytes(), path, durable=False)


def _require_end(data: bytes, path: str | Path) -> None:
    if data.startswith(_JPEG_START) and _JPEG_END not in data[-_TAIL:]:
        raise ImageFileError(f"image {path} is truncated ({len(data)} bytes, no end marker); fetch it again")
