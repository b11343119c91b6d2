"""The road-safety score of a whole data set, for the test and validation loops of OpenMMLab."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmstreet.labels import find_table
from mmstreet.readback import Readback, on_host
from mmstreet.registry import METRICS
from mmstreet.safety.analyzer import RoadSafetyAnalyzer
from mmstreet.safety.components import COMPONENTS
from mmstreet.safety.score import LEVELS, UNKNOWN


@METRICS.register_module()
class RoadSafetyMetric(BaseMetric):
    """Mean road-safety score of the predicted scenes, the share of each risk level, and the best and worst scenes.

    Scalars: ``score`` (mean, 0 to 100), ``share_LOW``, ``share_MODERATE``, ``share_HIGH``, ``share_CRITICAL`` and ``share_UNKNOWN``
    (per cent of the images), ``part/<name>`` (mean of each of the five parts, 0 to 1). Where the data set has labels, also
    ``score_error``, the mean distance in points between the score of the prediction and that of the labels, and ``level_agreement``, the
    per cent of images with the same level; both over the images whose two scores are known. What cannot be measured is not among the
    scalars.

    Labels are not needed. Every image keeps its scores; no map is kept. The score describes the scenes and the model's view of them, so a
    higher mean is no better model; watch ``score_error`` for that.

    Args:
        table: Class table of the predictions, a name or rows. Default: the classes of the data set.
        settings: Settings of the score; see :class:`~mmstreet.safety.settings.SafetySettings`.
        roles: What classes of your own mean on the road; see :class:`~mmstreet.safety.analyzer.RoadSafetyAnalyzer`.
        num_scenes: How many best and worst scenes :attr:`report` names.
        collect_device: ``'cpu'`` or ``'gpu'``: how the scores of several processes come together.
        prefix: Put before every scalar's name.
        collect_dir: Shared folder for ``collect_device='cpu'``; default: ``.dist_test`` in the working directory.
    """

    default_prefix = folder = "safety"

    def __init__(
        self,
        *,
        table: str | Sequence[Mapping] | None = None,
        settings: Mapping | None = None,
        roles: Mapping[str, str] | None = None,
        num_scenes: int = 8,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.table = table
        self.settings = settings
        self.roles = roles
        self.num_scenes = num_scenes
        self._analyzer: RoadSafetyAnalyzer | None = None
        self._waiting: list[tuple[dict, dict[str, Readback]]] = []
        self._seen = 0
        self.report: dict | None = None
        """Result of the last evaluation on the main process: ``metrics``; ``reasons``, what is not known and why; ``images``, all of
        them, the worst first, unknown ones last, each with ``img_path``, ``seg_map_path``, ``safety`` and, with labels, ``truth``, both
        as from ``SafetyScore.to_dict``; ``best`` and ``worst``, lists of such images, the most extreme first."""

    @property
    def analyzer(self) -> RoadSafetyAnalyzer:
        """The analyser of the predictions, built when the classes are known.

        Raises:
            ValueError: If neither a table nor the data set names the classes.
        """
        if self._analyzer is None:
            classes = (self.dataset_meta or {}).get("classes")
            if self.table is None and not classes:
                raise ValueError("the data set names no classes; set metainfo=dict(classes=...) there or table=... in RoadSafetyMetric")
            own = find_table(self.dataset_meta) if (self.dataset_meta or {}).get("label_rows") else None
            names = {"classes": classes} if self.table is None and own is None else {"table": self.table or own}
            self._analyzer = RoadSafetyAnalyzer(settings=self.settings, roles=self.roles, **names)
        return self._analyzer

    def files(self) -> dict[str, dict | list]:
        """What a test run writes of the last evaluation: content of JSON files and rows of CSV files by file name."""
        scenes = {name: self.report[name] for name in ("metrics", "reasons", "best", "worst")}
        return {"metrics.json": {"safety": scenes}, "per_image.csv": list_safety(self.report["images"])}

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Score the images of one batch.

        Args:
            data_batch: Not used.
            data_samples: One dict per image with ``pred_sem_seg`` and perhaps ``gt_sem_seg``, each with class ids under ``data``,
                ``[1, H, W]`` or ``[H, W]``, and ``img_path`` and ``seg_map_path``.

        Raises:
            ValueError: If a map cannot be scored; the message names the image. One on a GPU is scored with the next batch.
        """
        self._score_waiting()
        for sample in data_samples:
            image = str(sample.get("img_path") or f"image {self._seen}")
            maps = {key: sample[key]["data"] for key in ("pred_sem_seg", "gt_sem_seg") if key in sample}
            paths = {"img_path": image, "seg_map_path": str(sample.get("seg_map_path") or "") or None}
            self._waiting.append((paths, {key: Readback(ids.reshape(ids.shape[-2:])) for key, ids in maps.items()}))
            self._seen += 1
            if all(on_host(ids) for ids in maps.values()):
                self._score_waiting()

    def _score_waiting(self) -> None:
        """Score what a GPU was asked for with the batch before, beside its work on this one."""
        waiting, self._waiting = self._waiting, []
        for paths, maps in waiting:
            try:
                scored = {key: self._score(ids.read().numpy()) for key, ids in maps.items()}
            except ValueError as error:
                raise ValueError(f"{paths['img_path']}: {error}") from error
            self.results.append({**paths, "safety": scored["pred_sem_seg"], "truth": scored.get("gt_sem_seg")})

    def evaluate(self, size: int) -> dict[str, float]:
        """Score what waits, and compute the scalars; see :class:`mmengine.evaluator.BaseMetric`."""
        self._score_waiting()
        self._seen = 0
        return super().evaluate(size)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Average over the images, print a table and return the scalars.

        Args:
            results: One dict per image, from :meth:`process`.
        """
        ranked = sorted(results, key=lambda image: (image["safety"]["score"] is None, image["safety"]["score"] or 0.0))
        known = [image for image in ranked if image["safety"]["score"] is not None]
        metrics = summarize_safety([image["safety"] for image in results])
        metrics |= compare_safety([(image["safety"], image["truth"]) for image in results if image["truth"]])
        self.report = {
            "metrics": metrics,
            "reasons": count_reasons(ranked),
            "images": ranked,
            "worst": known[: self.num_scenes],
            "best": known[::-1][: self.num_scenes],
        }
        print_log(f"road safety of {len(results)} images\n{format_safety(self.report)}", logger="current")
        return {name: value for name, value in metrics.items() if value is not None}

    def _score(self, ids: np.ndarray) -> dict:
        return self.analyzer(ids.astype(np.int64) if ids.dtype.kind == "f" else ids).to_dict()


def summarize_safety(scores: Sequence[dict]) -> dict[str, float | None]:
    """Mean score, share of each level in per cent, and mean of each part over the images in which it is known.

    Args:
        scores: One dict per image, from ``SafetyScore.to_dict``.

    Returns:
        Name to value; ``None`` where no image tells.
    """
    levels = Counter(score["level"] for score in scores)
    parts = {part: _mean([score["components"][part] for score in scores]) for part in COMPONENTS}
    return {
        "score": _mean([score["score"] for score in scores]),
        **{f"share_{level}": 100 * levels[level] / max(1, len(scores)) for level in (*LEVELS, UNKNOWN)},
        **{f"part/{part}": value for part, value in parts.items()},
    }


def compare_safety(pairs: Sequence[tuple[dict, dict]]) -> dict[str, float | None]:
    """How far the scores of predictions are from those of the labels, over the pairs in which both are known.

    Args:
        pairs: ``(predicted, true)``, from ``SafetyScore.to_dict``.

    Returns:
        ``score_error`` in points and ``level_agreement`` in per cent; empty without a known pair.
    """
    known = [(pred, truth) for pred, truth in pairs if None not in (pred["score"], truth["score"])]
    if not known:
        return {}
    return {
        "score_error": _mean([abs(pred["score"] - truth["score"]) for pred, truth in known]),
        "level_agreement": _mean([100.0 * (pred["level"] == truth["level"]) for pred, truth in known]),
    }


def list_safety(images: Sequence[Mapping]) -> list[list]:
    """Lay out a line per image, the header first, as ``per_image.csv`` has them."""
    rows = [["img_path", "score", "level", "true_score", "true_level", *COMPONENTS, "explanation"]]
    for image in images:
        safety, truth = image["safety"], image["truth"] or {}
        parts = (safety["components"][part] for part in COMPONENTS)
        known = (safety["score"], safety["level"], truth.get("score"), truth.get("level"))
        rows.append([image["img_path"], *known, *parts, safety["explanation"]])
    return rows


def count_reasons(images: Sequence[dict]) -> dict[str, int]:
    """Say what is not known and why, with the number of images; a scene that is unknown altogether counts once."""
    reasons = Counter()
    for image in images:
        why = image["safety"]["reasons"]
        known = image["safety"]["score"] is not None
        reasons.update({f"{part} is not known: {text}" if known else f"UNKNOWN: {text}" for part, text in why.items()})
    return dict(sorted(reasons.items()))


def format_safety(report: dict) -> str:
    """Lay out the result of :class:`RoadSafetyMetric` as text: the scalars, what is not known and why, and the worst scene."""
    shown = {name: "n/a" if value is None else f"{value:.2f}" for name, value in report["metrics"].items()}
    starts = {"share_": "images by risk, %: ", "part/": "parts, 0 to 1: ", "": ""}
    rows: dict[str, list[str]] = {start: [] for start in reversed(starts)}
    for name, value in shown.items():
        start = next(start for start in starts if name.startswith(start))
        rows[start].append(f"{name.removeprefix(start)} {value}")
    lines = [starts[start] + "  ".join(cells) for start, cells in rows.items() if cells]
    lines += [f"{reason} ({count} images)" for reason, count in report["reasons"].items()]
    lines += [f"worst: {image['img_path']}: {image['safety']['explanation']}" for image in report["worst"][:1]]
    return "\n".join(lines)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
