"""A page of pictures: image, truth, prediction and error of several images side by side, or some of these columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mmstreet.files.colors import IGNORED, NO_CLASS, colorize

COLUMNS = ("image", "truth", "prediction", "error")
WRONG = (225, 35, 35)
NOT_SCORED = (44, 62, 110)
_COLUMN_INCHES = 5.0
_TITLE_INCHES = 0.32
_LEGEND_INCHES_PER_LINE = 0.28


@dataclass(frozen=True)
class Panel:
    """One row of the page: RGB image uint8 ``[h, w, 3]`` of any size, true and predicted ids ``[H, W]``, and a title."""

    image: np.ndarray
    labels: np.ndarray
    preds: np.ndarray
    title: str


def paint(ids: np.ndarray, palette: Sequence[Sequence[int]], *, ignore_index: int = 255) -> np.ndarray:
    """Return class ids in colour; a black class is shown dark grey like no class, for black means ignored."""
    colors = np.array(palette, np.uint8).reshape(-1, 3)
    colors[(colors == 0).all(1)] = NO_CLASS
    return colorize(ids, colors, ignore_index=ignore_index)


def paint_errors(
    image: np.ndarray,
    labels: np.ndarray,
    preds: np.ndarray,
    *,
    num_classes: int,
    ignore_index: int = 255,
    background_scored: bool = True,
) -> np.ndarray:
    """Paint where a prediction is wrong: red; right is the image in dark grey, not scored is dark blue, ignored is black.

    Args:
        image: RGB, uint8 ``[H, W, 3]``.
        labels: True ids ``[H, W]``.
        preds: Predicted ids ``[H, W]``; all ids from ``num_classes`` on are the same "no class".
        num_classes: Number of classes.
        ignore_index: Id of ignored pixels.
        background_scored: Whether pixels that are labelled as none of the classes count; what is predicted there is an error then.

    Returns:
        RGB, uint8 ``[H, W, 3]``.
    """
    grey = 40 + 0.3 * image.mean(2, keepdims=True)
    painted = np.broadcast_to(grey, image.shape).astype(np.uint8)
    painted[labels != np.minimum(preds, num_classes)] = WRONG
    if not background_scored:
        painted[labels >= num_classes] = NOT_SCORED
    painted[labels == ignore_index] = IGNORED
    return painted


def plot_panels(
    panels: Sequence[Panel],
    *,
    names: Sequence[str],
    palette: Sequence[Sequence[int]],
    path: str | Path,
    ignore_index: int = 255,
    background_scored: bool = True,
    columns: Sequence[str] = COLUMNS,
) -> Path:
    """Draw one row per image with a legend of the classes on the page.

    Args:
        panels: The rows, in order.
        names: Class names.
        palette: RGB of each class.
        path: The PNG, 500 pixels wide per column.
        ignore_index: Id of ignored pixels.
        background_scored: As for :func:`paint_errors`.
        columns: What to show, names from :data:`COLUMNS`, in this order.

    Raises:
        ValueError: If there is no row to draw, or a column is unknown.
    """
    if not panels:
        raise ValueError("there is no image to draw; expected at least one panel")
    unknown = [column for column in columns if column not in COLUMNS]
    if unknown or not columns:
        raise ValueError(f"columns must be some of {', '.join(COLUMNS)}, got {', '.join(columns) or 'none'}")
    present = sorted({int(i) for panel in panels for ids in (panel.labels, panel.preds) for i in np.unique(ids) if i != ignore_index})
    legend = [Patch(color=paint(np.array([[i]]), palette)[0, 0] / 255, label=names[i]) for i in present if i < len(names)]
    if any(i >= len(names) for i in present):
        legend.append(Patch(color=np.array(NO_CLASS) / 255, label="background"))
    meanings = [(NO_CLASS, "error map: right"), (WRONG, "error map: wrong")] if "error" in columns else []
    if "error" in columns and not background_scored and any(i >= len(names) for i in present):
        meanings.append((NOT_SCORED, "error map: not scored"))
    legend += [
        Patch(facecolor=np.array(color) / 255, edgecolor="#888888", label=label) for color, label in [*meanings, (IGNORED, "ignored")]
    ]
    per_line = 2 * len(columns)
    lines = -(-len(legend) // per_line)
    heights = [_COLUMN_INCHES * panel.labels.shape[0] / panel.labels.shape[1] for panel in panels]
    width = _COLUMN_INCHES * len(columns)
    top = 0.5 + _LEGEND_INCHES_PER_LINE * lines
    total = top + sum(heights) + _TITLE_INCHES * len(panels) + 0.16

    figure = Figure(figsize=(width, total), dpi=100)
    figure.legend(handles=legend, loc="upper center", ncols=per_line, fontsize=11, frameon=False)
    for i, column in enumerate(columns):
        figure.text((i + 0.5) / len(columns), 1 - top / total, column, ha="center", va="bottom", fontsize=14, weight="bold")

    def paint_column(column: str, panel: Panel) -> np.ndarray:
        if column == "image":
            return panel.image
        if column != "error":
            return paint(panel.labels if column == "truth" else panel.preds, palette, ignore_index=ignore_index)
        image, scored = fit_nearest(panel.image, panel.labels.shape), {"ignore_index": ignore_index, "background_scored": background_scored}
        return paint_errors(image, panel.labels, panel.preds, num_classes=len(names), **scored)

    y = total - top - 0.06
    for panel, height in zip(panels, heights):
        y -= _TITLE_INCHES
        figure.text(0.004, (y + 0.08) / total, panel.title, fontsize=12, va="bottom")
        y -= height
        for i, column in enumerate(columns):
            box = ((i + 0.005) / len(columns), y / total, 0.99 / len(columns), height / total)
            axes = figure.add_axes(box)
            axes.imshow(paint_column(column, panel), interpolation="antialiased" if column == "image" else "nearest", aspect="auto")
            axes.set_axis_off()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def fit_nearest(image: np.ndarray, shape_hw: tuple[int, int]) -> np.ndarray:
    """Sample an image at the nearest pixels of another size."""
    rows, columns = (np.arange(new) * old // new for new, old in zip(shape_hw, image.shape[:2]))
    return image[rows[:, None], columns]
