"""Precision–recall curves of an evaluation of instances: as a chart and as a table, one protocol beside the other."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

TITLES = {"coco": "COCO protocol: masks may overlap", "bitmask": "bitmask protocol: one owner per pixel"}


def plot_precision_recall(curves: Mapping[str, Mapping], path: str | Path) -> Path:
    """Draw precision over recall at one IoU threshold, a panel per protocol, a line per class, and their mean in black.

    Each curve ends at the recall that was reached. In the mean, a class counts with precision 0 beyond its end, so the area under
    the black line is the AP at this threshold.

    Args:
        curves: Per protocol ``iou``, ``recall [R]`` and ``classes``: class name to ``precision [R]``, ``None`` where not reached. Classes
            without instances are absent.
        path: The PNG.
    """
    names = list(dict.fromkeys(name for curve in curves.values() for name in curve["classes"]))
    colors = dict(zip(names, matplotlib.colormaps["tab10"](np.arange(len(names)) % 10)))
    figure = Figure(figsize=(0.6 + 4.4 * len(curves), 5.2), dpi=120, layout="constrained")
    panels = figure.subplots(1, len(curves), sharey=True, squeeze=False)[0]
    for axes, (protocol, curve) in zip(panels, curves.items()):
        recall = np.asarray(curve["recall"])
        for name, values in curve["classes"].items():
            axes.plot(recall, np.array(values["precision"], float), color=colors[name], linewidth=1.3)
        mean = _mean_precision(curve)
        if mean is not None:
            axes.plot(recall, mean, color="#111111", linewidth=2.2)
        average = "n/a" if mean is None else f"{100 * mean.mean():.1f}"
        axes.set_title(f"{TITLES.get(protocol, protocol)}\nAP{100 * curve['iou']:.0f} {average}", fontsize=10)
        axes.set_xlabel("recall")
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        axes.grid(color="#e4e4e4", linewidth=0.8)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("precision")
    handles = [Line2D([], [], color="#111111", linewidth=2.2, label="mean of the classes")]
    handles += [Line2D([], [], color=colors[name], linewidth=1.3, label=name) for name in names]
    figure.legend(handles=handles, loc="outside lower center", ncols=min(5, len(handles)), fontsize=8, frameon=False)
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path


def write_precision_recall_csv(curves: Mapping[str, Mapping], path: str | Path) -> Path:
    """Write one line per protocol, class and recall: precision, and the score threshold that gives it; empty where not reached.

    Args:
        curves: As for :func:`plot_precision_recall`, with ``score [R]`` beside ``precision``.
        path: The file.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("protocol", "iou", "class", "recall", "precision", "score"))
        for protocol, curve in curves.items():
            for name, values in curve["classes"].items():
                for recall, precision, score in zip(curve["recall"], values["precision"], values["score"]):
                    cells = ("" if value is None else f"{value:.6f}" for value in (precision, score))
                    writer.writerow((protocol, curve["iou"], name, f"{recall:.2f}", *cells))
    return path


def _mean_precision(curve: Mapping) -> np.ndarray | None:
    rows = [np.nan_to_num(np.array(values["precision"], float)) for values in curve["classes"].values()]
    return np.mean(rows, axis=0) if rows else None
