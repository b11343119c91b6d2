"""Sections of the page that an optional part of a test adds, each from one key of its ``metrics.json``.

A section is three things: the shape of its data in :data:`~mmstreet.report.shapes.EVALUATION`, a row in :data:`SECTIONS` that turns them
into plain data, and ``templates/section_KEY.html``, which sees these as ``one``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from mmstreet.report import shapes
from mmstreet.report.charts import label, line_chart
from mmstreet.report.corruption_section import describe_corruptions
from mmstreet.report.evaluation_sections import describe_kept
from mmstreet.report.run_files import Evaluation
from mmstreet.report.run_folder import RunFolder

_LISTED = 12
_NO_GALLERY = {"legend": [], "images": []}


def describe_calibration(one: Evaluation, _: RunFolder) -> dict:
    """Lay out the calibration of one evaluation, as the model is and after its temperature: scores, reliability, risk over coverage."""
    content = one.content["calibration"]
    names = ["the model as it is", *(f"temperature {label(part['temperature'])}" for part in content["measured"][1:])]
    reliable, risks = {}, {}
    for name, part in zip(names, content["measured"]):
        known = [row for row in part["reliability"] if row["confidence"] is not None and row["accuracy"] is not None]
        reliable[name] = tuple([100 * row[key] for row in known] for key in ("confidence", "accuracy"))
        risks[name] = tuple([100 * row[key] for row in part["risk_coverage"]] for key in ("coverage", "risk"))
    reliable["confidence that holds what it says"] = ([0, 100], [0, 100])
    ranges = {"x_range": (0, 100), "unit": " %", "show_last": False}
    charts = [
        line_chart("Share of right pixels over confidence", reliable, x_label="confidence, %", y_range=(0, 100), **ranges),
        line_chart("Error among the most confident pixels", risks, x_label="share of the pixels that is kept, %", **ranges),
    ]
    rows = [{"name": name, "scores": part["scores"]} for name, part in zip(names, content["measured"])]
    return {"name": one.name, "pixels": content["pixels"], "rows": rows, "charts": [chart for chart in charts if chart]}


def describe_danger(one: Evaluation, _: RunFolder) -> dict:
    """Lay out dangerous confusions: Safe mIoU, classes by how much of them is taken for road, objects by class and size."""
    content = one.content["danger"]
    taken = sorted(content["taken_for_road"], key=lambda row: -row["pixels"])
    return {
        "name": one.name,
        "safe": one.score("Safe_mIoU"),
        "cost": one.score("cost"),
        "important": content["important"],
        "bands": list(dict.fromkeys(band for row in taken for band in row["share"])),
        "taken": taken,
        "sizes": list(dict.fromkeys(size for row in content["objects"] for size in row["sizes"])),
        "objects": content["objects"],
    }


def describe_safety(one: Evaluation, folder: RunFolder) -> dict:
    """Lay out the road-safety score of one evaluation, with the worst and the best scenes."""

    def show(image: Mapping) -> dict:
        picture = folder.picture(one.folder / image["picture"])
        return {"title": Path(image["img_path"]).name, "picture": picture, "truth": image.get("truth"), **image["safety"]}

    safety = one.content["safety"]
    scenes = {side: [show(image) for image in safety[side]] for side in ("worst", "best")}
    return {"name": one.name, "metrics": safety["metrics"], "reasons": safety.get("reasons", {}), **scenes}


def describe_label_errors(one: Evaluation, folder: RunFolder) -> dict:
    """Lay out where labels may be wrong: the first areas with their pictures, and the images with the most of them."""
    content = one.content["label_errors"]
    kept = describe_kept((folder.json(one.folder / "gallery.json", shapes.GALLERY) or _NO_GALLERY) | {"folder": one.folder}, folder)
    images = [row | {"title": Path(row["img_path"]).name} for row in content["images"][:_LISTED]]
    shown = [area | {"title": Path(area["img_path"]).name, **image} for area, image in zip(content["suspects"], kept["images"])]
    numbers = {"areas": content["areas"], "listed": len(content["suspects"]), "temperature": content["temperature"]}
    return {"name": one.name, **numbers, "shown": shown, "legend": kept["legend"], "images": images}


SECTIONS: dict[str, tuple[str, Callable[[Evaluation, RunFolder], dict]]] = {
    "calibration": ("Calibration", describe_calibration),
    "danger": ("Danger", describe_danger),
    "corruptions": ("Corruptions", describe_corruptions),
    "label_errors": ("Labels", describe_label_errors),
    "safety": ("Safety", describe_safety),
}
"""By key of ``metrics.json``, in the order of the page: the words in its navigation, and what lays out the data."""


def list_sections(evaluations: Sequence[Evaluation], folder: RunFolder) -> list[dict]:
    """Lay out every optional section of a run: ``key``, ``title``, ``number`` from 1 among those of its key, and ``content``."""
    return [
        {"key": key, "title": title, "number": number, "content": describe(one, folder)}
        for key, (title, describe) in SECTIONS.items()
        for number, one in enumerate((one for one in evaluations if one.content.get(key)), 1)
    ]
