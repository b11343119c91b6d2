"""The bar chart of a data set: pixels per class on a logarithmic scale, since shares span four orders of magnitude."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from matplotlib.figure import Figure

from mmstreet.report.figures import save_figure


def plot_class_pixels(report: Mapping, path: str | Path) -> Path:
    """Draw one bar per class in the class's colour, with its share of the labelled pixels and the number of files that show it.

    Args:
        report: What ``mmstreet.datasets.verify.verify`` returns.
        path: The PNG; its folder is made if it is missing.
    """
    rows = report["classes"]
    figure = Figure(figsize=(9, 1.6 + 0.32 * len(rows)), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    least = min((row["pixels"] for row in rows if row["pixels"]), default=1)
    for y, row in enumerate(rows):
        if row["pixels"]:
            color = [channel / 255 for channel in row["color"]]
            axes.barh(y, row["pixels"], height=0.74, color=color, edgecolor="#444444", linewidth=0.5)
        note = f"{row['percent']:.3g} %, {row['files']} files" if row["pixels"] else "no pixel"
        axes.text(max(row["pixels"], least / 2) * 1.15, y, note, va="center", fontsize=8, color="#222222" if row["pixels"] else "#b03030")
    axes.set_xscale("log")
    axes.set_xlim(left=least / 2)
    right = axes.get_xlim()[1]
    axes.set_xlim(right=right * 8)
    axes.set_yticks(range(len(rows)), [row["name"] for row in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlabel("labelled pixels, logarithmic")
    axes.spines[["top", "right"]].set_visible(False)
    files = sum(split["labels"] for split in report["splits"].values())
    axes.set_title(f"Pixels per class in {files} label files ({report['table']})", fontsize=11)
    return save_figure(figure, path)
