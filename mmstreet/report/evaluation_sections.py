"""The results of a test as plain data for a page: classes, confusion, curves, kept images, refiners."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from mmstreet.files.image_confusions import FEW_PIXELS
from mmstreet.files.refinement_rows import list_measures, list_regions
from mmstreet.report.album import css_color
from mmstreet.report.album_lists import refined_album
from mmstreet.report.charts import label, line_chart, ticks
from mmstreet.report.comparison import compare_scores
from mmstreet.report.run_files import Evaluation
from mmstreet.report.run_folder import RunFolder

TITLES = {"coco": "COCO protocol: masks may overlap", "bitmask": "bitmask protocol: one owner per pixel"}
MEAN = "mean of the classes"
SCORES = {
    "mIoU": "mean IoU",
    "fwIoU": "weighted IoU (by true pixels)",
    "iIoU": "instance-weighted IoU",
    "catIoU": "category IoU",
    "catiIoU": "instance-weighted category IoU",
    "aAcc": "pixel accuracy",
    "mAcc": "mean class accuracy",
}


def describe_evaluation(one: Evaluation, *, key: str, album: Mapping | None, lists: Mapping[str, Mapping]) -> dict:
    """Lay out scores, classes, confusion, curves and kept images of one evaluation.

    Args:
        one: The evaluation.
        key: What the keys of its lists of images begin with.
        album: Its images, where they are shown beside it.
        lists: The lists of images that its classes, slices and confusions can lead to.
    """
    semantic, instances = one.semantic, one.instances
    return {
        "name": one.name,
        "scope": semantic["scope"] if semantic else None,
        "convention": semantic["convention"] if semantic else None,
        "classes": _list_classes(semantic) if semantic else [],
        "mean": one.score("mIoU") if semantic else None,
        "few_pixels": FEW_PIXELS,
        "intervals": (semantic or instances).get("intervals"),
        "slices": _lay_slices(semantic) if semantic else [],
        "image_wise": _list_image_wise(semantic) if semantic else [],
        "confusion": _lay_confusion(semantic) if semantic else None,
        "scatter": _scatter(semantic) if semantic else None,
        "protocols": _list_protocols(instances) if instances else [],
        "parts": _list_parts(instances) if instances else [],
        "key": key,
        "album": album,
        "lists": lists,
    }


def compare_evaluations(evaluations: Sequence[Evaluation]) -> dict | None:
    """Put the scores of the semantic evaluations of a run side by side: means, categories and, of several, classes.

    Returns:
        ``names``, and ``rows`` with ``name`` and ``cells``; ``None`` if there is nothing beyond what each shows by itself.
    """
    shown = [one for one in evaluations if one.semantic]
    rows = [(words, [one.score(name) for one in shown]) for name, words in SCORES.items()]
    categories = dict.fromkeys(name for one in shown for name in one.semantic.get("categories") or {})
    rows += [(f"category {name}", [one.semantic.get("categories", {}).get(name) for one in shown]) for name in categories]
    if len(shown) > 1:
        ious = [{row["class"]: row["IoU"] for row in one.semantic["per_class"]} for one in shown]
        rows += [(name, [found.get(name) for found in ious]) for name in dict.fromkeys(name for found in ious for name in found)]
    elif not categories:
        return None
    names = [one.name for one in shown]
    return {"names": names, "rows": [_plain_row(name, cells) for name, cells in rows if any(cell is not None for cell in cells)]}


def _plain_row(name: str, values: Sequence) -> dict:
    return {"name": name, "cells": [{"value": value, "difference": "", "better": None, "interval": None} for value in values]}


def _list_classes(semantic: Mapping) -> list[dict]:
    total = max(1, sum(map(sum, semantic["confusion"])))
    limits = semantic.get("intervals", {}).get("scores", {})
    return [
        {"frequency": None} | row | {"share": 100 * row["truth_pixels"] / total, "interval": limits.get(f"IoU/{row['class']}")}
        for row in semantic["per_class"]
    ]


def _lay_slices(semantic: Mapping) -> list[dict]:
    """One table per attribute; a cell is an IoU, its difference to the whole set, and whether too few pixels are behind it."""
    whole = [row["IoU"] for row in semantic["per_class"]]
    tables = []
    for attribute, rows in semantic.get("slices", {}).items():
        shown = []
        for row in rows:
            cells = [
                {
                    "value": iou,
                    "difference": None if iou is None or mean is None else iou - mean,
                    "pixels": pixels,
                    "few": pixels < FEW_PIXELS,
                }
                for iou, mean, pixels in zip(row["IoU"], whole, row["truth_pixels"])
            ]
            shown.append({**row, "cells": cells, "few": row["pixels"] < FEW_PIXELS})
        tables.append({"attribute": attribute, "rows": shown})
    return tables


def _list_image_wise(semantic: Mapping) -> list[dict]:
    """Scores by image in words, without those that are not known."""
    values = semantic.get("image_wise", {})
    rows = []
    for name, value in values.items():
        kind, _, worst = name.removeprefix("mIoU_").partition("_worst_")
        words = {"I": "mean over images", "C": "mean over classes of their images"}.get(kind)
        if words and value is not None:
            rows.append({"key": name, "name": f"{words}, worst {worst} %" if worst else words, "value": value})
    return rows


def _lay_confusion(semantic: Mapping) -> dict:
    counts, names = semantic["confusion"], list(semantic["classes"])
    columns = [*range(len(names)), *([len(names)] if any(row[-1] for row in counts) else [])]
    total = max(1, sum(map(sum, counts)))
    rows = []
    for i, row in enumerate(counts):
        pixels = sum(row)
        if i == len(names) and not pixels:
            continue
        shares = [100 * row[j] / pixels if pixels else None for j in columns]
        rows.append(
            {
                "id": i,
                "name": [*names, "background"][i],
                "share": 100 * pixels / total,
                "cells": list(zip(shares, (row[j] for j in columns))),
            }
        )
    return {"columns": [[*names, "no class"][j] for j in columns], "rows": rows}


def _scatter(semantic: Mapping) -> dict | None:
    points = [row for row in _list_classes(semantic) if row["share"] > 0 and row["IoU"] is not None]
    if not points:
        return None
    low, high = (f(math.log10(row["share"]) for row in points) for f in (min, max))
    low, high = math.floor(low), max(math.ceil(high), math.floor(low) + 1)
    return {
        "points": [
            {
                "name": row["class"],
                "left": 100 * (math.log10(row["share"]) - low) / (high - low),
                "top": 100 - row["IoU"],
                "share": row["share"],
                "iou": row["IoU"],
                "frequency": row["frequency"],
            }
            for row in points
        ],
        "x_ticks": [[100 * (power - low) / (high - low), f"{label(10.0**power)} %"] for power in range(low, high + 1)],
        "y_ticks": [[100 - tick, label(tick)] for tick in ticks(0, 100)],
    }


def _list_parts(instances: Mapping) -> list[dict]:
    """One table per attribute: the scores of the images or instances of each value, the lowest AP first."""
    tables = []
    for attribute, values in instances.get("by", {}).items():
        rows = [{"value": value, "parts": list(found.values())} for value, found in values.items() if found]
        known = [(row["parts"][0]["metrics"].get("AP"), row) for row in rows]
        ordered = [row for _, row in sorted(known, key=lambda pair: (pair[0] is None, pair[0] or 0))]
        protocols = dict.fromkeys(name for found in values.values() for name in found)
        tables.append({"attribute": attribute, "protocols": list(protocols), "rows": ordered})
    return tables


def _list_protocols(instances: Mapping) -> list[dict]:
    shown = []
    limits = instances.get("intervals", {}).get("scores", {})
    for protocol, summary in instances["protocols"].items():
        curve = summary["curve"]
        lines = {name: (curve["recall"], values["precision"]) for name, values in curve["classes"].items()}
        # A class counts with precision 0 beyond the recall that it reaches, so the area under the mean is the AP at this IoU.
        if lines:
            lines[MEAN] = (curve["recall"], [sum(v or 0 for v in values) / len(lines) for values in zip(*(y for _, y in lines.values()))])
        title = f"Precision over recall at IoU {curve['iou']:g}"
        chart = (
            line_chart(title, lines, x_label="recall", y_range=(0, 1), x_range=(0, 1), show_last=False, emphasis=[MEAN]) if lines else None
        )
        scores = list(summary["metrics"])
        shown.append(
            {
                "name": TITLES.get(protocol, protocol),
                "scores": scores,
                # The mean over images of each one's own precision pools the classes, so a class has none.
                "rows": [
                    {"class": "all", "instances": summary["instances"], **summary["metrics"], "interval": limits.get(f"{protocol}/AP")},
                    *(
                        dict.fromkeys(scores) | row | {"interval": limits.get(f"{protocol}/AP/{row['class']}")}
                        for row in summary["per_class"]
                    ),
                ],
                "images": summary["images"],
                "chart": chart,
            }
        )
    return shown


def describe_kept(kept: Mapping, folder: RunFolder) -> dict:
    """Lay out pictures of images: title and pictures of each, and the legend; ``folder`` says where the files of their list are."""
    rows = []
    for image in kept["images"]:
        pictures = [(kind, folder.picture(kept["folder"] / file)) for kind, file in image["pictures"].items()]
        rows.append({"title": image["title"], "pictures": pictures})
    legend = [{"class": entry["class"], "color": css_color(entry["color"])} for entry in kept["legend"]]
    return {"images": rows, "legend": legend}


def describe_refinement(found: Mapping, folder: RunFolder) -> dict:
    """Lay out refiners beside their baseline: ``refinement.json`` of a test, and the images that changed most."""
    names = [one["name"] for one in found["systems"]]
    rows = []
    for name, values, limits in list_measures(found):
        tables = [{name: value} for value in values]
        rows.append(_plain_row(name, values) if limits is None else compare_scores(name, tables, [{name: between} for between in limits]))
    regions = {"names": names[1:], "rows": [_plain_row(name, counts) for name, counts in list_regions(found)]}
    return {"names": names, "rows": rows, "regions": regions, "album": refined_album(found["kept"], folder)}
