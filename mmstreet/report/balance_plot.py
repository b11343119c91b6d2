"""How CARB's regions behave over a training: their losses, their areas, and the factor between them."""

from __future__ import annotations

from pathlib import Path

from matplotlib.figure import Figure

from mmstreet.report.figures import save_figure
from mmstreet.report.run_folder import RunFolder
from mmstreet.report.run_logs import read_scalars

CONSISTENT, INCONSISTENT = "#3b6ea5", "#c8803a"


def plot_balance(work_dir: str | Path, path: str | Path) -> Path:
    """Draw loss and area of the consistent and the inconsistent region, and λ, over the iterations; a line ends the warm-up.

    Args:
        work_dir: Folder of a training with ``CARBHead``; the logs of an interrupted run are joined.
        path: The PNG.

    Raises:
        ValueError: If the logs hold no such training.
    """
    rows = {row["step"]: row for row in read_scalars(RunFolder(work_dir)).train if "decode.balance" in row}
    if not rows:
        raise ValueError(f"'{work_dir}' holds no run of CARB: no line of its logs (<start>/vis_data/scalars.json) has 'decode.balance'")
    steps = sorted(rows)
    ending = next((step for step in steps if rows[step]["decode.balance"] != 1), None)
    figure = Figure(figsize=(11, 3.2), dpi=110, layout="constrained")
    losses, areas, factor = figure.subplots(1, 3)
    for axes, kind, label in ((losses, "ce", "mean cross entropy"), (areas, "area", "share of the labelled pixels, %")):
        for region, color in (("consistent", CONSISTENT), ("inconsistent", INCONSISTENT)):
            axes.plot(steps, [rows[step][f"decode.{region}_{kind}"] for step in steps], color=color, label=region, linewidth=1.2)
        axes.set_ylabel(label)
        axes.legend(frameon=False, fontsize=8)
    factor.plot(steps, [rows[step]["decode.balance"] for step in steps], color="#444444", linewidth=1.2)
    factor.set_yscale("log")
    factor.set_ylabel("λ, factor of the inconsistent region")
    for axes in (losses, areas, factor):
        axes.set_xlabel("iteration")
        axes.spines[["top", "right"]].set_visible(False)
        if ending is not None:
            axes.axvline(ending, color="#999999", linestyle=":", linewidth=1)
    factor.set_title("dotted: end of the warm-up", fontsize=9, color="#777777")
    return save_figure(figure, path)
