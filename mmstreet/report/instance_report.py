"""The files that an evaluation of instances leaves: AP per class, and the precision–recall curves."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from mmstreet.report.precision_recall import plot_precision_recall, write_precision_recall_csv


def write_instance_report(report: Mapping, folder: str | Path) -> list[Path]:
    """Write ``per_class_ap.csv``, ``precision_recall.csv`` and ``precision_recall.png``.

    Args:
        report: ``protocols`` (per protocol ``metrics``, ``per_class``, ``images``, ``instances`` and ``curve``) and ``by`` (attribute,
            value, protocol to the same without the curve), as the metric of instances keeps it.
        folder: Where to; it is made if it is missing.

    Returns:
        The files.
    """
    folder = Path(folder)
    curves = {protocol: summary["curve"] for protocol, summary in report["protocols"].items()}
    return [
        write_ap_csv(report, folder / "per_class_ap.csv"),
        write_precision_recall_csv(curves, folder / "precision_recall.csv"),
        plot_precision_recall(curves, folder / "precision_recall.png"),
    ]


def write_ap_csv(report: Mapping, path: str | Path) -> Path:
    """Write one line per protocol, group of images and class, AP in per cent, empty where it cannot be measured.

    The line with an empty ``class`` is that of all classes; ``group`` is empty for the whole split, else ``weather=rainy``.
    """
    groups = {"": report["protocols"]}
    groups |= {f"{name}={value}": parts for name, values in report["by"].items() for value, parts in values.items()}
    scores = [name for name in next(iter(report["protocols"].values()))["per_class"][0] if name not in ("class", "instances")]
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("protocol", "group", "class", "images", "instances", *scores))
        for group, parts in groups.items():
            for protocol, summary in parts.items():
                total = {"class": "", "instances": summary["instances"], **summary["metrics"]}
                for row in (total, *summary["per_class"]):
                    cells = ("" if row[name] is None else f"{row[name]:.4f}" for name in scores)
                    writer.writerow((protocol, group, row["class"], summary["images"], row["instances"], *cells))
    return path
