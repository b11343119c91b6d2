"""A page of pictures: image, truth, prediction and error of several images side by side."""

from __future__ import annotations

from collections.abc import Sequence
from colorsys import hsv_to_rgb
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

COLUMNS = ("image", "truth", "prediction", "error")
WRONG = (225, 35, 35)
IGNORED = (0, 0, 0)
NO_CLASS = (64, 64, 64)
_COLUMN_INCHES = 5.0
_TITLE_INCHES = 0.32
_LEGEND_INCHES_PER_LINE = 0.28
_LEGEND_COLUMNS = 8


@dataclass(frozen=True)
class Panel:
    """One row of the page: RGB image uint8 ``[h, w, 3]`` of any size, true and predicted ids ``[H, W]``, and a title."""

    image: np.ndarray
    labels: np.ndarray
    preds: np.ndarray
    title: str


def spread_colors(count: int) -> list[list[int]]:
    """Return ``count`` RGB colours of well separated hues, for classes that have none of their own."""
    return [[round(255 * part) for part in hsv_to_rgb(i * 0.618 % 1, 0.65, 0.65 + 0.3 * (i % 2))] for i in range(count)]


def paint(ids: np.ndarray, palette: Sequence[Sequence[int]], *, ignore_index: int = 255) -> np.ndarray:
    """Paint class ids; ignored pixels are black, ids that are no class (background) dark grey.

    Args:
        ids: Class ids, integers ``[H, W]``.
        palette: RGB of each class; a black one is painted dark grey, for black means ignored.
        ignore_index: Id of ignored pixels.

    Returns:
        RGB, uint8 ``[H, W, 3]``.
    """
    colors = np.array([*palette, NO_CLASS], np.uint8).reshape(-1, 3)
    colors[(colors == 0).all(1)] = NO_CLASS
    painted = colors[np.clip(ids, 0, len(palette))]
    painted[ids == ignore_index] = IGNORED
    return painted


def paint_errors(image: np.ndarray, labels: np.ndarray, preds: np.ndarray, *, num_classes: int, ignore_index: int = 255) -> np.ndarray:
    """Paint where a prediction is wrong: red; right is the image in dark grey, ignored is black.

    Args:
        image: RGB, uint8 ``[H, W, 3]``.
        labels: True ids ``[H, W]``.
        preds: Predicted ids ``[H, W]``; all ids from ``num_classes`` on are the same "no class".
        num_classes: Number of classes.
        ignore_index: Id of ignored pixels.

    Returns:
        RGB, uint8 ``[H, W, 3]``.
    """
    grey = 40 + 0.3 * image.mean(2, keepdims=True)
    painted = np.broadcast_to(grey, image.shape).astype(np.uint8)
    painted[labels != np.minimum(preds, num_classes)] = WRONG
    painted[labels == ignore_index] = IGNORED
    return painted


def plot_panels(
    panels: Sequence[Panel], *, names: Sequence[str], palette: Sequence[Sequence[int]], path: str | Path, ignore_index: int = 255
) -> Path:
    """Draw one row per image with a legend of the classes on the page.

    Args:
        panels: The rows, in order.
        names: Class names.
        palette: RGB of each class.
        path: The PNG, 2000 pixels wide.
        ignore_index: Id of ignored pixels.

    Raises:
        ValueError: If there is no row to draw.
    """
    if not panels:
        raise ValueError("there is no image to draw; expected at least one panel")
    present = sorted({int(i) for panel in panels for ids in (panel.labels, panel.preds) for i in np.unique(ids) if i != ignore_index})
    legend = [Patch(color=paint(np.array([[i]]), palette)[0, 0] / 255, label=names[i]) for i in present if i < len(names)]
    if any(i >= len(names) for i in present):
        legend.append(Patch(color=np.array(NO_CLASS) / 255, label="background"))
    legend += [
        Patch(facecolor=np.array(color) / 255, edgecolor="#888888", label=label)
        for color, label in ((NO_CLASS, "error map: right"), (WRONG, "error map: wrong"), (IGNORED, "ignored"))
    ]
    lines = -(-len(legend) // _LEGEND_COLUMNS)
    heights = [_COLUMN_INCHES * panel.labels.shape[0] / panel.labels.shape[1] for panel in panels]
    width = _COLUMN_INCHES * len(COLUMNS)
    top = 0.5 + _LEGEND_INCHES_PER_LINE * lines
    total = top + sum(heights) + _TITLE_INCHES * len(panels) + 0.16

    figure = Figure(figsize=(width, total), dpi=100)
    figure.legend(handles=legend, loc="upper center", ncols=_LEGEND_COLUMNS, fontsize=11, frameon=False)
    for i, column in enumerate(COLUMNS):
        figure.text((i + 0.5) / len(COLUMNS), 1 - top / total, column, ha="center", va="bottom", fontsize=14, weight="bold")
    y = total - top - 0.06
    for panel, height in zip(panels, heights):
        y -= _TITLE_INCHES
        figure.text(0.004, (y + 0.08) / total, panel.title, fontsize=12, va="bottom")
        y -= height
        image = _fit(panel.image, panel.labels.shape)
        pictures = (
            panel.image,
            paint(panel.labels, palette, ignore_index=ignore_index),
            paint(panel.preds, palette, ignore_index=ignore_index),
            paint_errors(image, panel.labels, panel.preds, num_classes=len(names), ignore_index=ignore_index),
        )
        for i, picture in enumerate(pictures):
            box = ((i + 0.005) / len(COLUMNS), y / total, 0.99 / len(COLUMNS), height / total)
            axes = figure.add_axes(box)
            axes.imshow(picture, interpolation="antialiased" if i == 0 else "nearest", aspect="auto")
            axes.set_axis_off()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _fit(image: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """Sample an image at the nearest pixels of another size."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(shape_hw, image.shape[:2]))
    return image[rows[:, None], columns]
