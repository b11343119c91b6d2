"""Pictures of images on a page: photographs, label maps in their colours, where a prediction is wrong, what a refiner changed."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmstreet.files.colors import IGNORED
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.files.pictures import WIDTH_PX

WRONG = (225, 35, 35)
NOT_SCORED = (44, 62, 110)
BETTER = (40, 170, 70)
WORSE = WRONG
STILL_WRONG = (240, 190, 40)
GREY = (120, 120, 120)
ERRORS = {
    "right: the image in grey": GREY,
    "wrong": WRONG,
    "labelled as none of the classes, not scored": NOT_SCORED,
    "not labelled": IGNORED,
}
"""Meanings and colours of the ids of :func:`find_errors`."""
CHANGES = {
    "not changed: the image in grey": GREY,
    "became right": BETTER,
    "became wrong": WORSE,
    "wrong before and after": STILL_WRONG,
    "not labelled": IGNORED,
}
"""Meanings and colours of the ids of :func:`find_changes`."""


def find_errors(truth: np.ndarray, preds: np.ndarray, *, num_classes: int, background_scored: bool = True) -> np.ndarray:
    """Tell where a prediction is wrong.

    Args:
        truth: True ids ``[H, W]``; 255 is ignored.
        preds: Predicted ids ``[H, W]``; all ids from ``num_classes`` on are the same "no class".
        num_classes: Number of classes.
        background_scored: Whether pixels that are labelled as none of the classes count; what is predicted there is an error then.

    Returns:
        uint8 ``[H, W]``: 0 right, 1 wrong, 2 not scored, 3 ignored.
    """
    found = (truth != np.minimum(preds, num_classes)).astype(np.uint8)
    if not background_scored:
        found[truth >= num_classes] = 2
    found[truth == IGNORE_INDEX] = 3
    return found


def find_changes(truth: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Tell what a refiner changed.

    Args:
        truth: True ids ``[H, W]``; 255 is ignored.
        before: Ids before.
        after: Ids after.

    Returns:
        uint8 ``[H, W]``: 0 not changed, 1 became right, 2 became wrong, 3 wrong before and after, 4 ignored.
    """
    changed = before != after
    found = np.where(changed, 3, 0).astype(np.uint8)
    found[changed & (after == truth)] = 1
    found[changed & (before == truth)] = 2
    found[truth == IGNORE_INDEX] = 4
    return found


def embed_ids(ids: np.ndarray, colors: Sequence[Sequence[int]], *, see_through: bool = False) -> str:
    """Return ids, uint8 ``[H, W]``, in their colours as a ``data:`` address; with ``see_through``, id 0 shows what lies beneath."""
    picture = Image.fromarray(np.ascontiguousarray(ids))
    picture.putpalette(np.asarray(colors, np.uint8).tobytes())
    data = io.BytesIO()
    picture.save(data, "PNG", optimize=True, **({"transparency": 0} if see_through else {}))
    return f"data:image/png;base64,{base64.b64encode(data.getvalue()).decode()}"


def embed(path: Path) -> str:
    """Return a picture, at most 640 pixels wide, as a ``data:`` address that holds its pixels and nothing else of the file.

    Raises:
        ValueError: If the file is no picture.
    """
    data = io.BytesIO()
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as picture:
            kind = picture.format
            size = (WIDTH_PX, max(1, round(picture.height * WIDTH_PX / picture.width)))
            small = picture.resize(size, _sampling(picture)) if picture.width > WIDTH_PX else picture.copy()
        small.info = {}  # comments, profiles and positions
        small.save(data, kind, **({"quality": 82} if kind == "JPEG" else {}), optimize=True)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"it is no picture that can be shown ({error})") from error
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"


def _sampling(picture: Image.Image) -> Image.Resampling:
    return Image.Resampling.LANCZOS if picture.format == "JPEG" else Image.Resampling.NEAREST
