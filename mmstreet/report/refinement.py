"""Refiners beside their baseline: the table of scores, and a page of pictures that shows what each of them changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from mmstreet.files.colors import IGNORED, NO_CLASS
from mmstreet.files.tables import markdown_table
from mmstreet.report.panels import paint

BETTER = (40, 170, 70)
WORSE = (225, 35, 35)
STILL_WRONG = (240, 190, 40)
_COLUMN_INCHES = 3.2
_TITLE_INCHES = 0.28
_LEGEND_COLUMNS = 10


@dataclass(frozen=True, eq=False)
class Comparison:
    """One image: its path, RGB uint8 ``[H, W, 3]``, true ids ``[H, W]``, predicted ids, and the ids after each refiner."""

    path: str
    image: np.ndarray
    labels: np.ndarray
    before: np.ndarray
    after: Mapping[str, np.ndarray]


def refinement_table(report: Mapping) -> str:
    """Lay out the scores, one column per system and one line per measure, differences to the first system in brackets.

    Args:
        report: ``systems``, a list of dicts with ``name``, ``mIoU``, ``boundary_IoU``, ``thin_IoU``, ``seconds_per_image``,
            ``changed_percent`` and ``per_class``; and ``boundary_radius_px``.
    """
    systems = report["systems"]
    measures = [("mIoU", "mIoU"), (f"boundary IoU, {report['boundary_radius_px']} px", "boundary_IoU"), ("IoU of thin classes", "thin_IoU")]
    rows = [[title, *_with_difference([system[key] for system in systems])] for title, key in measures]
    rows.append(["seconds per image", *(f"{system['seconds_per_image']:.3f}" for system in systems)])
    rows.append(["pixels changed, %", *(system["changed_percent"] for system in systems)])
    for i, first in enumerate(systems[0]["per_class"]):
        rows.append([f"IoU {first['class']}", *_with_difference([system["per_class"][i]["IoU"] for system in systems])])
    return markdown_table(["", *(system["name"] for system in systems)], rows)


def _with_difference(values: Sequence[float | None]) -> list:
    first = values[0]
    cells: list = [first]
    for value in values[1:]:
        cells.append(value if value is None or first is None else f"{value:.2f} ({value - first:+.2f})")
    return cells


def paint_changes(image: np.ndarray, labels: np.ndarray, before: np.ndarray, after: np.ndarray, *, ignore_index: int = 255) -> np.ndarray:
    """Paint what a refiner changed: green became right, red became wrong, yellow stayed wrong; the rest is the image in dark grey.

    Args:
        image: RGB, uint8 ``[H, W, 3]``.
        labels: True ids ``[H, W]``.
        before: Ids before.
        after: Ids after.
        ignore_index: Id of ignored pixels, painted black.

    Returns:
        RGB, uint8 ``[H, W, 3]``.
    """
    painted = np.broadcast_to(40 + 0.3 * image.mean(2, keepdims=True), image.shape).astype(np.uint8)
    changed = before != after
    painted[changed] = STILL_WRONG
    painted[changed & (after == labels)] = BETTER
    painted[changed & (before == labels)] = WORSE
    painted[labels == ignore_index] = IGNORED
    return painted


def plot_comparison(
    rows: Sequence[Comparison], *, names: Sequence[str], palette: Sequence[Sequence[int]], path: str | Path, ignore_index: int = 255
) -> Path:
    """Draw one row per image: image, baseline, each refiner and what it changed, truth.

    Args:
        rows: The images, in order; all with the same refiners.
        names: Class names.
        palette: RGB of each class.
        path: The PNG.
        ignore_index: Id of ignored pixels.

    Raises:
        ValueError: If there is no image to draw.
    """
    if not rows:
        raise ValueError("there is no image to draw; expected at least one comparison")
    palette = list(palette)[: len(names)]
    columns = ["image", "baseline", *(title for name in rows[0].after for title in (name, f"{name}: changes")), "truth"]
    present = sorted({int(i) for row in rows for ids in (row.labels, row.before, *row.after.values()) for i in np.unique(ids)})
    legend = [Patch(color=paint(np.array([[i]]), palette)[0, 0] / 255, label=names[i]) for i in present if i < len(names)]
    meanings = ((BETTER, "became right"), (WORSE, "became wrong"), (STILL_WRONG, "wrong before and after"), (IGNORED, "ignored"))
    if any(len(names) <= i != ignore_index for i in present):
        meanings = ((NO_CLASS, "background"), *meanings)
    legend += [Patch(facecolor=np.array(color) / 255, edgecolor="#888888", label=label) for color, label in meanings]
    heights = [_COLUMN_INCHES * row.labels.shape[0] / row.labels.shape[1] for row in rows]
    columns_of_legend = min(_LEGEND_COLUMNS, 2 * len(columns))
    top = 0.45 + 0.26 * -(-len(legend) // columns_of_legend)
    width, total = _COLUMN_INCHES * len(columns), top + sum(heights) + _TITLE_INCHES * len(rows) + 0.1

    figure = Figure(figsize=(width, total), dpi=100)
    figure.legend(handles=legend, loc="upper center", ncols=columns_of_legend, fontsize=10, frameon=False)
    for i, column in enumerate(columns):
        figure.text((i + 0.5) / len(columns), 1 - top / total, column, ha="center", va="bottom", fontsize=13, weight="bold")
    y = total - top - 0.04
    for row, height in zip(rows, heights):
        y -= _TITLE_INCHES
        figure.text(0.004, (y + 0.07) / total, _score_line(row, ignore_index), fontsize=11, va="bottom")
        y -= height
        pictures = [row.image, paint(row.before, palette, ignore_index=ignore_index)]
        for after in row.after.values():
            pictures += [
                paint(after, palette, ignore_index=ignore_index),
                paint_changes(row.image, row.labels, row.before, after, ignore_index=ignore_index),
            ]
        pictures.append(paint(row.labels, palette, ignore_index=ignore_index))
        for i, picture in enumerate(pictures):
            axes = figure.add_axes(((i + 0.005) / len(columns), y / total, 0.99 / len(columns), height / total))
            axes.imshow(picture, interpolation="antialiased" if i == 0 else "nearest", aspect="auto")
            axes.set_axis_off()
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def _score_line(row: Comparison, ignore_index: int) -> str:
    valid = row.labels != ignore_index
    share = {name: 100 * (ids == row.labels)[valid].mean() for name, ids in (("baseline", row.before), *row.after.items())}
    return f"{Path(row.path).name}   right pixels: " + ", ".join(f"{name} {value:.1f} %" for name, value in share.items())
