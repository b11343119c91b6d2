"""The section of the page on corruptions: what is left of the scores by kind and severity, by class and group, and a picture of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mmstreet.report import shapes
from mmstreet.report.charts import line_chart
from mmstreet.report.evaluation_sections import describe_kept
from mmstreet.report.run_files import Evaluation
from mmstreet.report.run_folder import RunFolder


def describe_corruptions(one: Evaluation, folder: RunFolder) -> dict:
    """Lay out ``corruptions`` of one test: a table of cells, a chart over severity, a table of classes, pictures."""
    content = one.content["corruptions"]
    clean, cells = content["clean"], content["cells"]
    severities = sorted({row["severity"] for row in cells})
    kinds: dict[str, dict] = {}
    for row in cells:
        kind = kinds.setdefault(row["kind"], {"name": _say(row["kind"]), "group": row["group"], "apart": bool(row["apart"]), "cells": {}})
        kind["cells"][row["severity"]] = {"value": row["mIoU"], "lost": _lost(row["mIoU"], clean["mIoU"])}
    for kind in kinds.values():
        kind["left"] = _mean([None if cell["lost"] is None else 100 - cell["lost"] for cell in kind["cells"].values()])
    groups, classes = content["groups"], []
    for i, (name, before) in enumerate(zip(content["classes"], clean["IoU"])):
        after = [group["IoU"][i] if i < len(group["IoU"]) else None for group in groups.values()]
        if before is not None:
            cells_of_class = [{"value": value, "lost": _lost(value, before)} for value in after]
            classes.append({"name": name, "clean": before, "cells": cells_of_class})
    kept = folder.json(one.folder / "pictures.json", shapes.GALLERY) or {"legend": [], "images": []}
    return {
        "name": one.name,
        "images": content["images"],
        "clean": clean["mIoU"],
        "mean": one.score("mIoU"),
        "relative": one.score("relative"),
        "severities": severities,
        "kinds": list(kinds.values()),
        "groups": list(groups),
        "classes": classes,
        "chart": _chart(cells, list(groups), severities, clean["mIoU"]),
        "kept": describe_kept(kept | {"folder": one.folder}, folder),
    }


def _chart(cells: Sequence[Mapping], groups: Sequence[str], severities: Sequence[int], clean: float | None) -> dict | None:
    lines = {}
    for group in groups:
        rows = [row for row in cells if row["group"] == group and not row["apart"]]
        lines[group] = ([0, *severities], [clean, *(_mean([r["mIoU"] for r in rows if r["severity"] == s]) for s in severities)])
    return line_chart("Mean IoU over severity", lines, x_label="severity; 0 is the image as it is", unit=" %")


def _lost(after: float | None, before: float | None) -> float | None:
    """Per cent of a score that is gone."""
    return None if after is None or not before else 100 - 100 * after / before


def _mean(values: Sequence[float | None]) -> float | None:
    return sum(values) / len(values) if values and None not in values else None


def _say(kind: str) -> str:
    return kind.replace("_", " ").replace("jpeg", "JPEG")
