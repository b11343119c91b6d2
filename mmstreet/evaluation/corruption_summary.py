"""The cells of a test under corruptions as one table: mIoU of each, what is left of the clean mIoU, means over groups."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from mmstreet.evaluation.kept_images import MapRules
from mmstreet.files import confusion_scores as S
from mmstreet.files.numbers import percent
from mmstreet.files.tables import markdown_table
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.transforms.corruptions import DISPLACES, GROUP_OF, GROUPS

FOLDER = "corruptions"
CLEAN = "clean"


@dataclass(frozen=True)
class Cell:
    """A kind of corruption at a severity; :data:`CLEAN` at 0 is none."""

    kind: str
    severity: int

    def __str__(self) -> str:
        return self.kind if self.kind == CLEAN else f"{self.kind}_{self.severity}"

    @property
    def file(self) -> str:
        """Where its counts are, in the folder of all."""
        return f"cells/{self}.json"


def read_cell(folder: Path, cell: Cell, identity: str) -> np.ndarray | None:
    """Return the counts of a cell, ``[C + 1, C + 1]``; ``None`` without a file of the same weights, images and settings."""
    try:
        content = json.loads((folder / cell.file).read_text(encoding="utf-8"))
        return np.array(content["confusion"], np.int64) if content["identity"] == identity else None
    except (OSError, ValueError, KeyError, TypeError):  # a run that was killed, or a file of another version
        return None


def summarize_cells(counts: Mapping[Cell, np.ndarray], metric: StreetIoUMetric, *, images: int) -> dict:
    """Score the cells.

    Args:
        counts: ``[C + 1, C + 1]`` of each cell, :data:`CLEAN` among them.
        metric: Says which pixels and classes count.
        images: How many images each cell holds.

    Returns:
        ``metrics``: ``corruptions/mIoU`` and ``corruptions/relative``, means over all cells but those that displace pixels, and
        ``corruptions/relative/<group>``. ``corruptions``: the cells with mIoU and IoU by class in per cent, ``relative``, the per cent
        that are left of the clean mIoU, and ``apart``, true of those that displace pixels; means of the same by group.
    """
    rows = []
    for cell, confusion in counts.items():
        scored = S.drop_background(confusion) if metric.scope == "labelled" else confusion
        iou = S.iou_per_class(scored, convention=metric.convention)
        rows.append((cell, iou, S.mean_present(iou)))
    clean = next(mean for cell, _, mean in rows if cell.kind == CLEAN)
    known = [row for row in rows if row[0].kind != CLEAN]

    def describe(chosen: Sequence[tuple]) -> dict:
        miou = S.mean_present([mean for _, _, mean in chosen])
        by_class = [S.mean_present([iou[i] for _, iou, _ in chosen]) for i in range(len(metric.names))]
        return {"mIoU": percent(miou), "relative": percent(miou / clean if clean else np.nan), "IoU": [percent(x) for x in by_class]}

    cells = [
        {"kind": row[0].kind, "group": GROUP_OF[row[0].kind], "severity": row[0].severity, "apart": row[0].kind in DISPLACES}
        | describe([row])
        for row in known
    ]
    counted = [row for row in known if row[0].kind not in DISPLACES]
    by_group = {group: [row for row in counted if GROUP_OF[row[0].kind] == group] for group in GROUPS}
    groups = {group: describe(chosen) for group, chosen in by_group.items() if chosen}
    whole = describe(counted)
    metrics = {f"{FOLDER}/{name}": whole[name] for name in ("mIoU", "relative")}
    metrics |= {f"{FOLDER}/relative/{group}": row["relative"] for group, row in groups.items()}
    table = {"images": images, "classes": list(metric.names), "scope": metric.scope, "clean": describe([r for r in rows if r not in known])}
    return {"metrics": metrics, "corruptions": table | {"groups": groups, "cells": cells}}


def list_cells(table: Mapping) -> list[Sequence]:
    """Lay out the cells of :func:`summarize_cells` for a CSV file, the header first."""
    names = ("kind", "group", "severity", "mIoU", "relative")
    clean = (CLEAN, None, 0, table["clean"]["mIoU"], table["clean"]["relative"], *table["clean"]["IoU"])
    return [(*names, *table["classes"]), clean, *((*(row[name] for name in names), *row["IoU"]) for row in table["cells"])]


def list_pictures(folder: Path, cells: Sequence[Cell], rules: MapRules) -> dict:
    """Describe the pictures that cells have left in a folder, and their colours."""
    rows, present = [], set()
    for cell in cells:
        names = {kind: f"{cell}_{kind}.{'jpg' if kind == 'image' else 'png'}" for kind in ("image", "truth", "prediction")}
        pictures = {kind: name for kind, name in names.items() if (folder / name).is_file()}
        for name in pictures.values():
            if name.endswith(".png"):
                with Image.open(folder / name) as picture:
                    present |= set(np.unique(np.asarray(picture)).tolist())
        rows.append({"title": str(cell), "kind": cell.kind, "severity": cell.severity, "pictures": pictures})
    return {"legend": rules.legend(present), "images": rows}


def format_cells(table: Mapping) -> str:
    """Lay out the mIoU by kind and severity, with what is left of the clean mIoU on average."""
    severities = sorted({row["severity"] for row in table["cells"]})
    kinds = dict.fromkeys(row["kind"] for row in table["cells"])
    found = {(row["kind"], row["severity"]): row for row in table["cells"]}
    lines = []
    for kind in kinds:
        left = [found[kind, severity]["relative"] for severity in severities]
        mean = None if None in left else sum(left) / len(left)
        lines.append([kind, *(found[kind, severity]["mIoU"] for severity in severities), mean])
    clean = table["clean"]["mIoU"]
    return f"mIoU without corruption {clean:.2f}, {table['images']} images\n" + markdown_table(
        ["mIoU at severity", *map(str, severities), "% left"], lines
    )
