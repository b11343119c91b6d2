"""Pictures that show what a detector is given: instances, masks at the size that they are learned at, anchors, proposals, regions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

POSITIVE, NEGATIVE, IGNORED = "#1a9850", "#d73027", "#bbbbbb"
LEVEL_COLORS = ("#e6194b", "#f58231", "#ffe119", "#3cb44b", "#4363d8", "#911eb4")


def blend_masks(image: np.ndarray, masks: np.ndarray, colors: Sequence[Sequence[int]], *, opacity: float = 0.5) -> np.ndarray:
    """Lay masks over an image, each in its colour; the later of two masks lies on top.

    Args:
        image: RGB, uint8 ``[H, W, 3]``.
        masks: Bool ``[N, H, W]``.
        colors: RGB of each mask.
        opacity: Weight of the colour, 0 to 1.

    Returns:
        RGB, uint8 ``[H, W, 3]``.
    """
    blended = image.copy()
    for mask, color in zip(masks, colors, strict=True):
        blended[mask] = ((1 - opacity) * image[mask] + opacity * np.array(color)).astype(np.uint8)
    return blended


def plot_instances(
    image: np.ndarray,
    masks: np.ndarray,
    boxes: np.ndarray,
    texts: Sequence[str],
    colors: Sequence[Sequence[int]],
    path: Path,
    *,
    title: str,
) -> Path:
    """Draw an image with the mask, the box ``(x1, y1, x2, y2)`` and the name of each instance."""
    figure, axes = _sheet(image.shape[:2], title)
    axes.imshow(blend_masks(image, masks, colors))
    for box, text, color in zip(boxes, texts, colors, strict=True):
        edge = np.array(color) / 255
        _draw_box(axes, box, edgecolor=edge, linewidth=1.2)
        if min(box[2] - box[0], box[3] - box[1]) >= 0.012 * image.shape[1]:  # names of tiny ones would hide each other
            axes.text(
                box[0], box[1] - 2, text, fontsize=6, color="white", va="bottom", bbox={"facecolor": edge, "edgecolor": "none", "pad": 0.6}
            )
    return _save(figure, path)


def plot_mask_crops(crops: Sequence[np.ndarray], small: Sequence[np.ndarray], texts: Sequence[str], path: Path, *, title: str) -> Path:
    """Draw masks cut out at their boxes, and below each what is left of it at the small size."""
    columns = max(len(crops), 1)
    figure = Figure(figsize=(1.1 * columns + 0.4, 3.2), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=9)
    grid = figure.subplots(2, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for i, (crop, shrunk, text) in enumerate(zip(crops, small, texts, strict=True)):
        grid[0, i].imshow(crop, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        grid[0, i].set_title(f"{text}\n{crop.shape[1]}×{crop.shape[0]}", fontsize=7)
        grid[1, i].imshow(shrunk, cmap="gray", vmin=0, vmax=1, interpolation="nearest")
        grid[1, i].set_title(f"{shrunk.shape[1]}×{shrunk.shape[0]}", fontsize=7)
    return _save(figure, path)


def plot_anchors(image: np.ndarray, levels: Sequence[Mapping], path: Path, *, title: str) -> Path:
    """Draw the anchors of one cell per level, ``levels[i]["example"]`` of shape ``[A, 4]``, in the middle of the canvas."""
    figure, axes = _sheet(image.shape[:2], title, legend=True)
    axes.imshow(image)
    for level, color in zip(levels, LEVEL_COLORS):
        for j, box in enumerate(level["example"]):
            label = f"stride {level['stride']}: {level['anchors']:,} anchors, {level['positive']:,} positive"
            _draw_box(axes, box, edgecolor=color, linewidth=1.4, label=None if j else label)
    axes.set_xlim(0, image.shape[1])
    axes.set_ylim(image.shape[0], 0)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.01), fontsize=7, ncols=2, frameon=False)
    return _save(figure, path)


def plot_proposals(image: np.ndarray, boxes: np.ndarray, positive: np.ndarray, path: Path, *, title: str, shown: int = 150) -> Path:
    """Draw some of the proposals, evenly chosen, the positive ones on top."""
    figure, axes = _sheet(image.shape[:2], title)
    axes.imshow(image)
    chosen = np.linspace(0, len(boxes) - 1, min(shown, len(boxes)), dtype=int) if len(boxes) else []
    for i in sorted(chosen, key=lambda i: positive[i]):
        _draw_box(axes, boxes[i], edgecolor=POSITIVE if positive[i] else NEGATIVE, linewidth=0.8, alpha=0.9 if positive[i] else 0.35)
    return _save(figure, path)


def plot_regions(
    patches: Sequence[np.ndarray], masks: Sequence[np.ndarray | None], texts: Sequence[str], path: Path, *, title: str
) -> Path:
    """Draw regions of interest: the patch of the image, with the outline of the mask to be learned where there is one."""
    columns = 5
    rows = max(-(-len(patches) // columns), 1)
    figure = Figure(figsize=(1.7 * columns, 2.0 * rows + 0.3), dpi=110, layout="constrained")
    figure.suptitle(title, fontsize=9)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes in grid.flat:
        axes.set_axis_off()
    for axes, patch, mask, text in zip(grid.flat, patches, masks, texts):
        axes.imshow(patch)
        if mask is not None and mask.any() and not mask.all():
            axes.contour(mask, levels=[0.5], colors=[POSITIVE], linewidths=1.2)
        axes.set_title(text, fontsize=7, color=NEGATIVE if mask is None else POSITIVE)
    return _save(figure, path)


def plot_instance_stats(stats: Mapping, palette: Sequence[Sequence[int]], path: Path, *, title: str) -> Path:
    """Draw instances per image, per class with their sizes, and per size.

    Args:
        stats: What ``mmstreet.evaluation.instance_stats.count_instances`` returns.
        palette: RGB of each class.
        path: The PNG.
        title: Stands above.
    """
    figure = Figure(figsize=(12, 3.6), dpi=100, layout="constrained")
    figure.suptitle(title, fontsize=11)
    images, classes, sizes = figure.subplots(1, 3, width_ratios=(3, 4, 2))
    histogram, mean = stats["per_image"]["histogram"], stats["per_image"]["mean"]
    images.bar(list(histogram), list(histogram.values()), width=0.9, color="#4a6fa5")
    if mean is not None:
        images.axvline(mean, color=NEGATIVE, linewidth=1.2)
        images.text(mean, images.get_ylim()[1], f" mean {mean:.2f}", color=NEGATIVE, fontsize=8, va="top")
    images.set(xlabel="instances in an image", ylabel="images")
    for y, (row, color) in enumerate(zip(stats["classes"], palette)):
        if row["instances"]:
            classes.barh(y, row["instances"], color=np.array(color) / 255, edgecolor="#444444", linewidth=0.5)
        classes.text(max(row["instances"], 1), y, f" {row['instances']:,} in {row['images']:,} images", va="center", fontsize=7)
    classes.set_xscale("log")
    classes.set_yticks(range(len(stats["classes"])), [row["name"] for row in stats["classes"]], fontsize=8)
    classes.invert_yaxis()
    classes.set_xlim(0.8, 30 * max([row["instances"] for row in stats["classes"]] + [1]))
    classes.set_xlabel("instances, logarithmic")
    bars = sizes.bar(list(stats["sizes"]), list(stats["sizes"].values()), color=["#9ecae1", "#4292c6", "#084594"])
    sizes.bar_label(bars, fontsize=8)
    sizes.set_xlabel("area: 32² and 96² pixels")
    for axes in (images, classes, sizes):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    return _save(figure, path)


def _sheet(size_hw: tuple[int, int], title: str, *, legend: bool = False) -> tuple[Figure, Axes]:
    width = 8.0
    figure = Figure(figsize=(width, width * size_hw[0] / size_hw[1] + 0.35 + 0.6 * legend), dpi=110, layout="constrained")
    axes = figure.add_subplot()
    axes.set_title(title, fontsize=9)
    axes.set_axis_off()
    return figure, axes


def _draw_box(axes: Axes, box: Sequence[float], **style) -> None:
    axes.add_patch(Rectangle((box[0] - 0.5, box[1] - 0.5), box[2] - box[0], box[3] - box[1], fill=False, **style))


def _save(figure: Figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
