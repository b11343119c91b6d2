"""A legend under a picture: which colour is which class."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

MIN_WIDTH_PX = 160
"""Narrower pictures get none: its words would not fit."""
_BACK, _INK = (24, 24, 24), (235, 235, 235)


def add_legend(picture: np.ndarray, entries: Mapping[str, Sequence[int]]) -> np.ndarray:
    """Put a legend under a picture, in as many lines as its width asks for.

    Args:
        picture: RGB, uint8 ``[H, W, 3]``.
        entries: Text to RGB, in the order in which they are shown.

    Returns:
        RGB, uint8 ``[H + h, W, 3]``, ``h`` even; the picture itself if it is narrower than :data:`MIN_WIDTH_PX` or there is no entry.
    """
    strip = render_legend(entries, width_px=picture.shape[1])
    return picture if strip is None else np.vstack([picture, strip])


def render_legend(entries: Mapping[str, Sequence[int]], *, width_px: int) -> np.ndarray | None:
    """Draw the strip of :func:`add_legend`, RGB uint8 ``[h, width_px, 3]``; ``None`` where there is none."""
    if width_px < MIN_WIDTH_PX or not entries:
        return None
    size = min(28, max(11, width_px // 64))
    font = ImageFont.load_default(size)
    line, gap, box = round(1.6 * size), size, size
    places, x, y = [], gap, 0
    for text in entries:
        wide = box + size // 2 + int(font.getlength(text)) + gap
        if x > gap and x + wide > width_px:
            x, y = gap, y + line
        places.append((x, y))
        x += wide
    height = y + line + size // 2
    strip = Image.new("RGB", (width_px, height + height % 2), _BACK)
    draw = ImageDraw.Draw(strip)
    for (text, color), (x, y) in zip(entries.items(), places):
        top = y + size // 2
        draw.rectangle((x, top, x + box - 1, top + box - 1), fill=tuple(int(c) for c in color), outline=_INK)
        draw.text((x + box + size // 2, top + box / 2), text, fill=_INK, font=font, anchor="lm")
    return np.asarray(strip)
