"""The metric that looks for errors in the labels, for the test loop of OpenMMLab."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmstreet.files.tables import markdown_table
from mmstreet.metrics.disagreements import Disagreements, Ranking, find_disagreements
from mmstreet.metrics.scored_sample import read_scored_sample
from mmstreet.readback import Readback, Watch, on_host
from mmstreet.registry import METRICS

PRINTED = 10
CROP_PX = 320
_COLUMNS = ("rank", "img_path", "label", "prediction", "score", "confidence", "label_probability", "area", "x1", "y1", "x2", "y2")


@dataclass(frozen=True, eq=False)
class SuspectCrop:
    """What a picture of a suspect needs: its image, the window ``box_xyxy`` with one of ``step`` pixels kept, and maps of it, ``[h, w]``.

    ``image_hw`` is the size that the window is in; ``inside`` is true on the suspect.
    """

    img_path: str
    image_hw: tuple[int, int]
    box_xyxy: tuple[int, int, int, int]
    step: int
    labels: np.ndarray
    preds: np.ndarray
    inside: np.ndarray


_Measured = tuple[Disagreements, np.ndarray, np.ndarray, int, float]
"""Areas, labels and predictions of an image, how many pixels are labelled, and the image's share of errors."""


@METRICS.register_module()
class LabelErrorMetric(BaseMetric):
    """Ranks the areas where labels may be wrong: where the model is sure of another class.

    An area is a connected set of pixels of one label and one prediction. Its score is the mean of the logarithm of how many times more
    probable the prediction is than the label, times the logarithm of its pixels. Images are ranked by the share of their labelled pixels
    that the model gives to other classes: the mean over labelled pixels of the probability of the prediction less that of the label.
    Memory does not grow with the data set. Scalars: ``areas``, how many there are, and ``share_of_pixels`` in them, in per cent.

    Args:
        top: How many areas, and images, to list.
        shown: How many of the areas to keep pictures of.
        temperature: Divides the logits, so that probabilities mean something; None takes them as they are.
        ignore_index: Label of pixels that are not looked at.
        prefix: Put before every scalar's name.
    """

    default_prefix = "label_errors"
    folder = "label_errors"
    needs_scores = True
    """``seg_logits`` of the samples are read."""

    def __init__(
        self,
        *,
        top: int = 200,
        shown: int = 40,
        temperature: float | None = None,
        ignore_index: int = 255,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if top < 1:
            raise ValueError(f"top is how many areas to list, at least 1, got {top}")
        if temperature is not None and not temperature > 0:
            raise ValueError(f"temperature must be greater than 0, got {temperature}")
        self.top, self.shown, self.temperature, self.ignore_index = top, min(shown, top), temperature, ignore_index
        self.report: dict | None = None
        self.crops: list[SuspectCrop] = []
        """Of the first areas of the last evaluation, in their order."""
        self._start()

    def _start(self) -> None:
        self._areas: Ranking[dict] = Ranking(self.top)
        self._crops: Ranking[SuspectCrop] = Ranking(self.shown)
        self._images: Ranking[dict] = Ranking(self.top)
        self._counts = np.zeros(3, np.int64)  # areas, their pixels, labelled pixels
        self._seen, self._last = 0, None
        self.watch = Watch()

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Look at one batch.

        Args:
            data_batch: Not used.
            data_samples: One dict per image with ``seg_logits``, ``pred_sem_seg`` and ``gt_sem_seg``, each with its array under ``data``.

        Raises:
            ValueError: If a sample has no logits of two or more classes, or logits or labels that cannot be used.
        """
        with self.watch.step():
            for sample in data_samples:
                image = str(sample.get("img_path") or f"image {self._seen}")
                logits, labels = read_scored_sample(
                    sample, image, meta=self.dataset_meta, ignore_index=self.ignore_index, purpose="errors in labels need"
                )
                preds = sample["pred_sem_seg"]["data"].reshape(labels.shape).to(logits.device, torch.int64)
                measured = self._measure(image, logits, preds, labels)
                self._take_last()
                self._last = image, measured
                self._seen += 1

    @property
    def _names(self) -> tuple[str, ...]:
        return tuple((self.dataset_meta or {}).get("classes") or ())

    def _measure(self, image: str, logits: torch.Tensor, preds: torch.Tensor, labels: torch.Tensor) -> Callable[[], _Measured]:
        """Return what tells the areas of an image. Of a GPU nothing is waited for: it is asked for more pixels then, and read later."""
        valid = (labels != self.ignore_index) & (labels < len(logits))
        wrong = valid & (preds != labels)
        if on_host(logits):
            logs = self._log_probs(logits[:, wrong], preds[wrong], labels[wrong])
            measured = _rate(image, *(values.numpy() for values in (labels, preds, wrong, logs)), known=int(valid.sum()))
            return lambda: measured
        logs = self._log_probs(logits, preds, labels.clamp(0, len(logits) - 1))
        *maps, logs, known = (Readback(values) for values in (labels, preds, wrong, logs, valid.sum()))

        def read() -> _Measured:
            labels, preds, wrong = (values.read().numpy() for values in maps)
            return _rate(image, labels, preds, wrong, logs.read().numpy()[:, wrong], known=int(known.read()))

        return read

    def _log_probs(self, logits: torch.Tensor, preds: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Return the logarithm of the probability of the prediction, and of the label, float64 ``[2, …]``."""
        logs = (logits.float() / (self.temperature or 1)).log_softmax(0).double()
        return logs.gather(0, torch.stack([preds, labels]))

    def _take_last(self) -> None:
        """Rank the last image; it waits, for a sampler of several processes may repeat an image at the end."""
        if self._last is None:
            return
        image, measured = self._last
        self._last = None
        found, labels, preds, known, share = measured()
        self._counts += (len(found.areas), found.areas.sum(), known)
        row = {"img_path": image, "share": 100 * share, "areas": len(found.areas)}
        self._images.offer(share, (image,), lambda: row)
        for i, score in enumerate(found.scores.tolist()):
            box = tuple(found.boxes_xyxy[i].tolist())
            key = (image, *box, int(found.labels[i]), int(found.preds[i]))
            self._areas.offer(score, key, functools.partial(self._describe, image, found, i))
            self._crops.offer(score, key, functools.partial(_crop, image, found, i, labels, preds))

    def _describe(self, image: str, found: Disagreements, i: int) -> dict:
        names = self._names
        return {
            "img_path": image,
            "label": names[found.labels[i]] if names else str(found.labels[i]),
            "prediction": names[found.preds[i]] if names else str(found.preds[i]),
            "score": float(found.scores[i]),
            "confidence": float(found.confidence[i]),
            "label_probability": float(found.label_prob[i]),
            "area": int(found.areas[i]),
            "box_xyxy": found.boxes_xyxy[i].tolist(),
        }

    def evaluate(self, size: int) -> dict[str, float]:
        """Merge the rankings of all processes and compute the scalars; see :class:`mmengine.evaluator.BaseMetric`."""
        rank, processes = get_dist_info()
        if (self._seen - 1) * processes + rank >= size:
            self._last = None  # repeated by the sampler
        self._take_last()
        self.watch.read()
        gathered = all_gather_object((self._areas, self._crops, self._images, self._counts))
        self._start()
        metrics = self.compute_metrics(gathered)
        return {f"{self.prefix}/{name}" if self.prefix else name: value for name, value in metrics.items()}

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Merge the rankings of the processes, print the first areas and return the scalars.

        Raises:
            ValueError: If no pixel is labelled.
        """
        (areas, crops, images, counts), *others = results
        for more_areas, more_crops, more_images, more_counts in others:
            areas.merge(more_areas)
            crops.merge(more_crops)
            images.merge(more_images)
            counts = counts + more_counts
        if not counts[2]:
            raise ValueError("not one pixel of the split is labelled with a class of the model; check the label folder and the class map")
        metrics = {"areas": float(counts[0]), "share_of_pixels": 100 * float(counts[1] / counts[2])}
        self.crops = list(crops)
        listed = [{"rank": i, **area} for i, area in enumerate(areas, 1)]
        self.report = {"metrics": metrics, "areas": int(counts[0]), "temperature": self.temperature}
        self.report |= {"suspects": listed, "images": list(images)}
        header = ["labels to look at", "label", "model says", "confidence, %", "pixels", "score"]
        rows = [
            [Path(area["img_path"]).name, area["label"], area["prediction"], 100 * area["confidence"], area["area"], area["score"]]
            for area in listed[:PRINTED]
        ]
        disagree = f"{counts[0]:,} areas, {metrics['share_of_pixels']:.1f} % of the labelled pixels, disagree with their labels"
        print_log(f"{disagree}; the first {len(rows)} of {len(listed)} listed\n{markdown_table(header, rows)}", "current")
        return metrics

    def files(self) -> dict[str, dict | list]:
        """What a test run writes of the last evaluation."""
        rows = [[*(area[name] for name in _COLUMNS[:8]), *area["box_xyxy"]] for area in self.report["suspects"]]
        return {
            "metrics.json": {"label_errors": {name: value for name, value in self.report.items() if name != "metrics"}},
            "suspects.csv": [_COLUMNS, *rows],
        }


def _rate(image: str, labels: np.ndarray, preds: np.ndarray, wrong: np.ndarray, logs: np.ndarray, *, known: int) -> _Measured:
    if not np.isfinite(logs).all():
        raise ValueError(f"{image}: the model gives scores that are infinite or not a number")
    pred_sum, label_sum = np.exp(logs).sum(1)
    return find_disagreements(labels, preds, wrong, logs), labels, preds, known, float(pred_sum - label_sum) / max(1, known)


def _crop(image: str, found: Disagreements, i: int, labels: np.ndarray, preds: np.ndarray) -> SuspectCrop:
    """Cut out an area with its surroundings, of at most :data:`CROP_PX` pixels a side."""
    height, width = labels.shape
    x1, y1, x2, y2 = found.boxes_xyxy[i].tolist()
    margin = max(24, (x2 - x1) // 2, (y2 - y1) // 2)
    x1, y1, x2, y2 = max(0, x1 - margin), max(0, y1 - margin), min(width, x2 + margin), min(height, y2 + margin)
    step = -(-max(x2 - x1, y2 - y1) // CROP_PX)
    window = slice(y1, y2, step), slice(x1, x2, step)
    maps = (values[window].astype(np.int16) for values in (labels, preds))
    return SuspectCrop(image, (height, width), (x1, y1, x2, y2), step, *maps, found.parts[window] == i)
