"""Charts of one evaluation: the confusion matrix and the scores per class."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

FREQUENCY_COLORS = {"common": "#3b6ea5", "medium": "#6fa287", "rare": "#c8803a", None: "#3b6ea5"}
ABSENT_COLOR = "#e4e4e4"


def plot_confusion(summary: Mapping, path: str | Path) -> Path:
    """Draw the confusion matrix, each row as per cent of its true pixels.

    Args:
        summary: The evaluation of one run, with ``classes`` and ``confusion``, int ``[C + 1][C + 1]``. The row of the background and the
            column of predictions that are no class are drawn only where they hold pixels; rows without pixels are grey.
        path: The PNG.
    """
    confusion = np.asarray(summary["confusion"], np.int64)
    names = list(summary["classes"])
    rows = [*range(len(names)), *([len(names)] if confusion[-1].any() else [])]
    columns = [*range(len(names)), *([len(names)] if confusion[:, -1].any() else [])]
    truth = confusion.sum(1)
    share = confusion[np.ix_(rows, columns)] / np.maximum(truth[rows], 1)[:, None]

    figure = Figure(figsize=(3.2 + 0.44 * len(columns), 2.6 + 0.40 * len(rows)), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    shown = np.ma.masked_array(share, np.broadcast_to((truth[rows] == 0)[:, None], share.shape))
    axes.set_facecolor(ABSENT_COLOR)
    axes.imshow(shown, cmap="Blues", vmin=0, vmax=1, aspect="auto")
    for i, j in np.argwhere(share >= 0.005):
        axes.text(
            j, i, f"{100 * share[i, j]:.0f}", ha="center", va="center", fontsize=8, color="white" if share[i, j] > 0.55 else "#222222"
        )
    total = max(1, truth.sum())
    true_names = [*names, "background"]
    axes.set_yticks(range(len(rows)), [f"{true_names[i]}  {_share(truth[i], total)}" for i in rows], fontsize=9)
    axes.set_xticks(
        range(len(columns)), [[*names, "no class"][j] for j in columns], fontsize=9, rotation=60, ha="right", rotation_mode="anchor"
    )
    axes.set_xticks(np.arange(len(columns) + 1) - 0.5, minor=True)
    axes.set_yticks(np.arange(len(rows) + 1) - 0.5, minor=True)
    axes.grid(which="minor", color="white", linewidth=0.8)
    axes.tick_params(which="both", length=0)
    axes.set_xlabel("predicted")
    axes.set_ylabel("truth, and its share of the counted pixels")
    axes.set_title("Where the pixels of each class go (% of the row)", fontsize=11)
    return _save(figure, path)


def plot_class_bars(summary: Mapping, path: str | Path) -> Path:
    """Draw IoU as bars and accuracy as ticks, per class, with the mean IoU as a line; absent classes say so.

    Args:
        summary: The evaluation of one run, with ``per_class`` and ``metrics``.
        path: The PNG.
    """
    rows = summary["per_class"]
    figure = Figure(figsize=(8, 1.5 + 0.3 * len(rows)), dpi=120, layout="constrained")
    axes = figure.add_subplot()
    for y, row in enumerate(rows):
        if row["IoU"] is None:
            axes.text(109, y, "n/a", va="center", ha="right", fontsize=9, color="#777777")
            continue
        axes.barh(y, row["IoU"], height=0.72, color=FREQUENCY_COLORS[row["frequency"]])
        if row["Acc"] is not None:
            axes.plot([row["Acc"]] * 2, [y - 0.36, y + 0.36], color="#222222", linewidth=1.6)
        axes.text(109, y, f"{row['IoU']:.1f}", va="center", ha="right", fontsize=9)
    mean = summary["metrics"]["mIoU"]
    axes.axvline(mean, color="#b03030", linestyle="--", linewidth=1)
    axes.set_yticks(range(len(rows)), [row["class"] for row in rows], fontsize=9)
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set_xlim(0, 110)
    axes.set_xticks(range(0, 101, 20))
    axes.set_xlabel("per cent")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(f"IoU per class (mIoU {mean:.1f})", fontsize=11)
    kinds = [kind for kind in FREQUENCY_COLORS if any(row["frequency"] == kind for row in rows)]
    handles = [Patch(color=FREQUENCY_COLORS[kind], label=f"IoU, {kind} class" if kind else "IoU") for kind in kinds]
    tick = {"color": "#222222", "marker": "|", "linestyle": "", "markersize": 9, "markeredgewidth": 1.6}
    handles.append(Line2D([], [], label="accuracy (recall)", **tick))
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles), fontsize=8, frameon=False)
    return _save(figure, path)


def _share(pixels: int, total: int) -> str:
    return "n/a" if not pixels else f"{100 * pixels / total:.2g} %"


def _save(figure: Figure, path: str | Path) -> Path:
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)
    return path
