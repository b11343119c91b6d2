"""What a test run leaves of the road-safety score: numbers of the set, a line per image, pictures of the best and worst scenes."""

from __future__ import annotations

import csv
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
from mmengine.config import Config

from mmstreet.files.atomic import write_json
from mmstreet.registry import METRICS
from mmstreet.report.pictures import write_picture
from mmstreet.report.safety_strip import Scene, plot_scenes
from mmstreet.safety.components import COMPONENTS
from mmstreet.safety.metric import RoadSafetyMetric


def add_safety_metric(cfg: Config) -> None:
    """Append a ``RoadSafetyMetric`` to the test evaluator of a config, in place, unless it has one.

    Args:
        cfg: A config with ``test_evaluator``: one dict or a list of them.
    """
    evaluators = cfg.get("test_evaluator") or []
    evaluators = list(evaluators) if isinstance(evaluators, list | tuple) else [evaluators]
    if not any(METRICS.get(evaluator["type"]) is RoadSafetyMetric for evaluator in evaluators if isinstance(evaluator["type"], str)):
        cfg.test_evaluator = [*evaluators, {"type": "mmstreet.RoadSafetyMetric"}]


def write_safety(
    metric: RoadSafetyMetric, run: Mapping, folder: str | Path, *, read_rgb: Callable[[str], np.ndarray], pictured: int = 4
) -> list[Path]:
    """Write ``metrics.json``, ``per_image.csv`` and ``scenes.png``, and the pictured scenes one by one into ``scenes/``.

    Args:
        metric: After its evaluation, on the main process.
        run: Config, checkpoint and scalars of the run; they open ``metrics.json``.
        folder: Where to; it is made if it is missing.
        read_rgb: From an image's path to RGB, uint8 ``[H, W, 3]``.
        pictured: How many of the best and of the worst scenes are drawn.

    Returns:
        The files; no picture when the score of no image is known.
    """
    folder, report = Path(folder), metric.report
    best, worst = ([_open(image, read_rgb) for image in report[side][:pictured]] for side in ("best", "worst"))
    written = []
    if best or worst:
        written.append(plot_scenes(best, worst, folder / "scenes.png"))
    shown = {}
    for side, scenes in (("best", best), ("worst", worst)):
        files = [write_picture(scene.image, folder / "scenes" / f"{side}_{i:02d}.jpg") for i, scene in enumerate(scenes, 1)]
        shown[side] = [image | {"picture": f"scenes/{file.name}"} for image, file in zip(report[side], files)]
    return [
        write_json(dict(run) | {"safety": {"metrics": report["metrics"], **shown}}, folder / "metrics.json"),
        _write_csv(report["images"], folder / "per_image.csv"),
        *written,
    ]


def _open(image: Mapping, read_rgb: Callable[[str], np.ndarray]) -> Scene:
    return Scene(read_rgb(image["img_path"]), Path(image["img_path"]).name, image["safety"])


def _write_csv(images: list[dict], path: Path) -> Path:
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(("img_path", "score", "level", "true_score", "true_level", *COMPONENTS, "explanation"))
        for image in images:
            safety, truth = image["safety"], image["truth"] or {}
            scores = (safety["score"], truth.get("score"), *(safety["components"][part] for part in COMPONENTS))
            cells = ["" if value is None else f"{value:.4f}" for value in scores]
            row = (image["img_path"], cells[0], safety["level"], cells[1], truth.get("level", ""), *cells[2:], safety["explanation"])
            writer.writerow(row)
    return path
