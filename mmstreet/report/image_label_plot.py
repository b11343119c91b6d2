"""The chart of image-level labels: classes per image, classes that occur together, images with and without each class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from mmstreet.report.figures import save_figure

COLORS = ("#3b6ea5", "#c8803a", "#6fa287", "#8a5a9e", "#b03030", "#777777")
NEGATIVE_COLOR = "#e4e4e4"


def plot_image_labels(stats: Mapping[str, Mapping], path: str | Path) -> Path:
    """Draw one or several sets side by side.

    The upper row compares the sets: (a) the share of images that show so many classes, (b) how often class pairs have so high
    a share of common images. Below, (c), each set has a bar per class, split into images with and without it.

    Args:
        stats: By name of the set, what ``mmstreet.datasets.image_labels.describe_image_labels`` returns.
        path: The PNG; its folder is made if it is missing.

    Raises:
        ValueError: If there is no set, or more than six.
    """
    if not 1 <= len(stats) <= len(COLORS):
        raise ValueError(f"expected one to {len(COLORS)} sets to plot, got {len(stats)}")
    colors = dict(zip(stats, COLORS))
    most = max(len(one["classes"]) for one in stats.values())
    figure = Figure(figsize=(max(9, 4.2 * len(stats)), 4.6 + 0.24 * most), dpi=120, layout="constrained")
    upper, lower = figure.subfigures(2, 1, height_ratios=(3.4, 1.2 + 0.24 * most))
    left, right = upper.subplots(1, 2)
    for name, one in stats.items():
        _render_class_numbers(left, name, one, colors[name])
        _render_ratios(right, one, colors[name], filled=len(stats) == 1)
    left.set_title("(a) Classes per image", fontsize=11)
    left.set_xlabel("classes in one image")
    left.set_ylabel("images, %")
    left.set_ylim(bottom=0)
    right.set_title("(b) Classes that occur together", fontsize=11)
    right.set_xlabel("share of one class's images that also show another class")
    right.set_ylabel("ordered pairs of classes, %")
    right.set_xlim(0, 1)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    left.xaxis.set_major_locator(MaxNLocator(integer=True))
    upper.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=9, frameon=False)
    lower.suptitle("(c) Images with (coloured) and without (grey) each class", fontsize=11)
    for axes, (name, one) in zip(np.ravel(lower.subplots(1, len(stats), squeeze=False)), stats.items()):
        _render_classes(axes, name, one, colors[name])
    return save_figure(figure, path)


def _render_class_numbers(axes, name: str, one: Mapping, color: str) -> None:
    counts = np.array(one["images_by_num_classes"], float)
    mean = one["mean_classes_per_image"]
    label = f"{name}: {one['images']} images" + ("" if mean is None else f", mean {mean:.1f}")
    axes.plot(np.arange(len(counts)), 100 * counts / max(one["images"], 1), color=color, marker="o", markersize=4, label=label)


def _render_ratios(axes, one: Mapping, color: str, *, filled: bool) -> None:
    counts = np.array(one["ratio_histogram"], float)
    edges = np.linspace(0, 1, len(counts) + 1)
    axes.stairs(100 * counts / max(counts.sum(), 1), edges, color=color, fill=filled, linewidth=1.8, alpha=0.85)


def _render_classes(axes, name: str, one: Mapping, color: str) -> None:
    positive, negative = np.array(one["positive"]), np.array(one["negative"])
    places = np.arange(len(positive))
    axes.barh(places, positive, height=0.74, color=color)
    axes.barh(places, negative, left=positive, height=0.74, color=NEGATIVE_COLOR)
    for place, number in enumerate(positive.tolist()):
        axes.text(max(one["images"], 1) * 1.02, place, f"{number}", va="center", fontsize=8, color="#222222" if number else "#b03030")
    axes.set_yticks(places, one["classes"], fontsize=8)
    axes.set_ylim(len(positive) - 0.4, -0.6)
    axes.set_xlim(0, max(one["images"], 1) * 1.15)
    axes.set_xticks([tick for tick in MaxNLocator(nbins=6, integer=True).tick_values(0, one["images"]) if tick <= one["images"]])
    axes.set_xlabel(f"images of {name}")
    axes.tick_params(axis="y", length=0)
    axes.spines[["top", "right"]].set_visible(False)
