"""The road-safety score in a test run: the metric added to a config, and the best and worst scenes as small pictures."""

from __future__ import annotations

from pathlib import Path

from mmengine.config import Config

from mmstreet.files.contained import path_inside
from mmstreet.files.images import read_rgb
from mmstreet.files.pictures import write_photo
from mmstreet.registry import METRICS
from mmstreet.safety.metric import RoadSafetyMetric

SCENES = 4
"""How many of the best and of the worst scenes are kept as pictures."""


def add_safety_metric(cfg: Config) -> None:
    """Append a ``RoadSafetyMetric`` to the test evaluator of a config, in place, unless it has one.

    Args:
        cfg: A config with ``test_evaluator``: one dict or a list of them.
    """
    evaluators = cfg.get("test_evaluator") or []
    evaluators = list(evaluators) if isinstance(evaluators, list | tuple) else [evaluators]
    if not any(METRICS.get(evaluator["type"]) is RoadSafetyMetric for evaluator in evaluators if isinstance(evaluator["type"], str)):
        cfg.test_evaluator = [*evaluators, {"type": "mmstreet.RoadSafetyMetric"}]


def write_scenes(safety: dict, folder: Path, *, orientation: str = "stored") -> list[Path]:
    """Write the extreme scenes into ``scenes/`` and note the name of each file as ``picture`` in ``safety``, in place.

    Args:
        safety: ``best`` and ``worst``, lists of images with ``img_path``, the most extreme first; only those pictured stay in them.
        folder: Where ``scenes`` goes.
        orientation: How the images were turned for the model; see :func:`~mmstreet.files.images.read_image`.

    Returns:
        The pictures; none when the score of no image is known.
    """
    written = []
    for side in ("best", "worst"):
        safety[side] = [image | {"picture": f"scenes/{side}_{i:02d}.jpg"} for i, image in enumerate(safety[side][:SCENES], 1)]
        for image in safety[side]:
            photo = read_rgb(image["img_path"], orientation=orientation)
            written.append(write_photo(photo, path_inside(folder, image["picture"])))
    return written
