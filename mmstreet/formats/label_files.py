"""Read one label file: ids, palette or colours on disk become train ids of a class table, or the file is refused by name.

A label map may lie on disk in three ways. ``'ids'``: one 8-bit channel that holds each class's ``raw_id``. ``'palette'``: indices
into a colour list. ``'rgb'``: the colours themselves, as in BDD100K's ``colormaps``. The last two are decoded by the colours
of the table; black is void unless a class is black. A colour that no class has means that the file uses the colours of another
table, was scaled with smoothing, or went through JPEG, and no id is guessed from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from mmstreet.files.images import ImageFileError, open_header, read_regular_file
from mmstreet.labels import IGNORE_INDEX, LabelTable, outside_message

_KINDS = {0: "ids", 2: "rgb", 3: "palette", 6: "rgb"}
_OUTSIDE = 254
_PNG = b"\x89PNG\r\n\x1a\n"


class LabelFileError(ImageFileError):
    """A label file that cannot be used; the message names file and reason."""


@dataclass(frozen=True)
class OutsideId:
    """An id on disk that the table does not have: where it is first, and on how many pixels."""

    label_id: int
    y: int
    x: int
    count: int


def label_kind(data: bytes, path: str | Path = "the label file") -> str:
    """Tell from a PNG's header how labels are stored.

    Args:
        data: The file, or at least its first 26 bytes.
        path: Its name, for the message.

    Returns:
        ``'ids'`` (one channel), ``'palette'`` or ``'rgb'`` (with or without alpha).

    Raises:
        LabelFileError: If it is no PNG, or has 16 bits per channel, grey of less than 8 bits, or grey with alpha.
    """
    if len(data) < 26 or not data.startswith(_PNG):
        what = "a JPEG, which changes ids" if data.startswith(b"\xff\xd8") else "empty" if not data else "no PNG"
        raise LabelFileError(f"label file {path} is {what}; label maps have to be PNG files")
    depth, color_type = data[24], data[25]
    if depth == 16:
        raise LabelFileError(f"label file {path} has 16 bits per channel, as maps of instance ids have; give the map of class ids, 8-bit")
    if color_type == 0 and depth < 8:
        raise LabelFileError(f"label file {path} has {depth} bit per pixel, and readers differ on what its values are; save it with 8")
    if color_type not in _KINDS:
        raise LabelFileError(f"label file {path} is grey with an alpha channel; save one 8-bit channel of class ids")
    return _KINDS[color_type]


def read_labels(path: str | Path, table: LabelTable, *, palette: str = "color", unlisted: str = "error") -> np.ndarray:
    """Read a label file as train ids.

    Args:
        path: A PNG file.
        table: Class table of the ids or colours on disk.
        palette: What a palette image's pixels are: ``'color'``, known by the colour they point at, or ``'index'``, ids
            themselves, whatever the colours are.
        unlisted: What an id is that the table does not have: an ``'error'``, or void (``'ignore'``).

    Returns:
        Train ids, uint8 ``[H, W]``, 255 where void.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageFileError: If it is no regular file, or larger than the limit of :mod:`mmstreet.files.images`.
        LabelFileError: If it cannot be decoded, or holds an id or a colour that the table does not have.
    """
    labels, outside = decode_labels(read_regular_file(path), table, path=path, palette=palette)
    if outside and unlisted == "error":
        first = outside[0]
        raise LabelFileError(outside_message(table, first.label_id, path=path, y=first.y, x=first.x, count=first.count))
    return labels


def decode_labels(data: bytes, table: LabelTable, *, path: str | Path, palette: str = "color") -> tuple[np.ndarray, list[OutsideId]]:
    """Decode a label file that is in memory.

    Args:
        data: The PNG file.
        table: Class table of the ids or colours on disk.
        path: Its name, for messages.
        palette: See :func:`read_labels`.

    Returns:
        Train ids, uint8 ``[H, W]``, and the ids on disk that the table does not have (255 in the array), in order of id.

    Raises:
        LabelFileError: If it cannot be decoded or holds a colour that the table does not have.
    """
    kind = label_kind(data, path)
    image = open_header(data, path)
    try:
        if image is None:
            raise ValueError("its header is damaged")
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise LabelFileError(f"label file {path} cannot be decoded ({error}); fetch or make it again") from error
    if kind == "rgb":
        return _decode_rgb(image, table, path), []
    pixels = np.array(image)
    if kind == "palette" and palette == "color":
        return _decode_palette(image, pixels, table, path)
    return _decode_ids(pixels, table)


def _decode_ids(ids: np.ndarray, table: LabelTable) -> tuple[np.ndarray, list[OutsideId]]:
    if table.holds_train_ids and int((ids + np.uint8(1)).max(initial=0)) <= len(table):  # 255 is 0 then
        return ids, []
    lut = np.where(table.raw_to_train == IGNORE_INDEX, _OUTSIDE, table.raw_to_train)
    lut[[IGNORE_INDEX, *table.void_ids]] = IGNORE_INDEX
    labels = cv2.LUT(ids, lut)
    strange = labels == _OUTSIDE
    if not strange.any():
        return labels, []
    labels[strange] = IGNORE_INDEX
    outside = []
    for value in np.unique(ids[strange]):
        places = np.flatnonzero(ids == value)
        y, x = divmod(int(places[0]), ids.shape[1])
        outside.append(OutsideId(int(value), y, x, len(places)))
    return labels, outside


def _decode_palette(image: Image.Image, pixels: np.ndarray, table: LabelTable, path: str | Path) -> tuple[np.ndarray, list[OutsideId]]:
    colors = np.array(image.getpalette("RGB"), np.uint8).reshape(-1, 3)[:256]
    last = int(pixels.max(initial=0))
    if last >= len(colors):
        raise LabelFileError(f"label file {path} uses palette index {last}, but its palette ends at {len(colors) - 1}; make it again")
    train_ids, known = _match_colors(colors, table, path)
    used = np.unique(pixels)
    strange = used[~known[used]]
    lut = np.full(256, IGNORE_INDEX, np.uint8)
    if not len(strange):
        if (train_ids[known] == IGNORE_INDEX).all():
            raise LabelFileError(
                f"palette of label file {path} has no colour but black, so no class can be told from it; if the indices are the ids, pass "
                "LoadLabels(palette='index')"
            )
        lut[: len(colors)] = train_ids
        return cv2.LUT(pixels, lut), []
    if (colors[used] == colors[used, :1]).all():  # a file of ids that a PNG optimiser has rewritten as grey palette
        lut[: len(colors)] = colors[:, 0]
        labels, outside = _decode_ids(cv2.LUT(pixels, lut), table)
        if not outside or (table.raw_to_train[used[used != IGNORE_INDEX]] == IGNORE_INDEX).any():
            return labels, outside
    index = int(strange[0])
    raise LabelFileError(
        f"palette of label file {path} has colour {_rgb(colors[index])} at index {index}, which is no class of table '{table.name}'; "
        "if the indices are the ids, pass LoadLabels(palette='index'), otherwise name the table whose colours it uses"
    )


def _decode_rgb(image: Image.Image, table: LabelTable, path: str | Path) -> np.ndarray:
    pixels = np.asarray(image)
    if pixels.shape[2] == 4:
        if (pixels[..., 3] != 255).any():
            raise LabelFileError(
                f"label file {path} is a colour image with an alpha channel in use, as instance bitmasks are; give the map of class ids"
            )
        pixels = pixels[..., :3]
    train_ids, known = _match_colors(pixels.reshape(-1, 3), table, path)
    if not known.all():
        y, x = divmod(int(known.argmin()), pixels.shape[1])
        grey = (pixels[..., 0] == pixels[..., 1]).all() and (pixels[..., 1] == pixels[..., 2]).all()
        advice = "its three channels are equal: save one of them" if grey else "name the table whose colours it uses"
        raise LabelFileError(
            f"colour image {path} has {_rgb(pixels[y, x])} at y={y}, x={x}, which is no class of table '{table.name}'; {advice}"
        )
    return train_ids.reshape(pixels.shape[:2])


def _match_colors(colors: np.ndarray, table: LabelTable, path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the train id of each RGB row, uint8 ``[N]``, and whether the table has its colour, bool ``[N]``."""
    if len({tuple(label.color) for label in table.labels}) < len(table):
        raise LabelFileError(
            f"label file {path} holds colours, but classes of table '{table.name}' share one; if it is a palette of ids, pass "
            "LoadLabels(palette='index')"
        )
    void = ((0, 0, 0), *table.void_colors)
    by_code = {_code(np.array(color)): IGNORE_INDEX for color in void}
    by_code |= {_code(np.array(label.color)): label.train_id for label in table.labels}
    known_codes = np.array(sorted(by_code), np.uint32)
    ids = np.array([by_code[code] for code in known_codes.tolist()], np.uint8)
    codes = _code(colors)
    place = np.searchsorted(known_codes, codes).clip(max=len(known_codes) - 1)
    return ids[place], known_codes[place] == codes


def _code(rgb: np.ndarray):
    wide = rgb.astype(np.uint32)
    code = wide[..., 0] << 16 | wide[..., 1] << 8 | wide[..., 2]
    return code if code.ndim else int(code)


def _rgb(color: np.ndarray) -> str:
    return str(tuple(int(channel) for channel in color))
