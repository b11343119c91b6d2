"""Pictures in rows and columns under titles, as one file to show to others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from mmstreet.files.atomic import atomic_path

_GAP_PX = 8
_TITLE_PX = 30
_QUALITY = 88


def write_side_by_side(rows: Sequence[Sequence[Path]], titles: Sequence[str], out: str | Path, *, width_px: int = 480) -> Path:
    """Join pictures to one JPEG.

    Args:
        rows: Picture files, one row after the other, each as long as ``titles``.
        titles: One per column.
        out: The file.
        width_px: Width of a column.

    Raises:
        ValueError: If a row has another length than ``titles``.
    """
    if not rows or any(len(row) != len(titles) for row in rows):
        raise ValueError(f"each row needs {len(titles)} pictures, one under each title; got rows of {[len(row) for row in rows]}")
    pictures = []
    for row in rows:
        opened = [Image.open(path).convert("RGB") for path in row]
        pictures.append([picture.resize((width_px, round(picture.height * width_px / picture.width))) for picture in opened])
    heights = [max(picture.height for picture in row) for row in pictures]
    size = (len(titles) * (width_px + _GAP_PX) + _GAP_PX, _TITLE_PX + sum(heights) + _GAP_PX * len(rows))
    sheet = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(sheet)
    font = ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 16)
    for column, title in enumerate(titles):
        draw.text((_GAP_PX + column * (width_px + _GAP_PX), 6), title, fill="black", font=font)
    y = _TITLE_PX
    for row, height in zip(pictures, heights, strict=True):
        for column, picture in enumerate(row):
            sheet.paste(picture, (_GAP_PX + column * (width_px + _GAP_PX), y))
        y += height + _GAP_PX
    with atomic_path(out) as partial:
        sheet.save(partial, "JPEG", quality=_QUALITY)
    return Path(out)
