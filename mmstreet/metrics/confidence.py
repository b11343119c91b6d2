"""The metric of confidence for the test loop of OpenMMLab: calibration before and after a temperature, and risk over coverage."""

from __future__ import annotations

import zlib
from collections.abc import Sequence

import numpy as np
import torch
from mmengine.dist import all_gather_object, get_dist_info
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmstreet.metrics.calibration import CalibrationCounts, pack_calibration, predicted_ids
from mmstreet.metrics.calibration_scores import calibration_scores, reliability, risk_coverage
from mmstreet.metrics.scored_sample import read_scored_sample
from mmstreet.readback import Readback, Watch, check_later, to_device
from mmstreet.registry import METRICS

_UNITS = {"Brier": 1, "NLL": 1}
"""Scores that are not given in per cent."""


@METRICS.register_module()
class CalibrationMetric(BaseMetric):
    """Calibration of a semantic model over all labelled pixels: ECE, adaptive and class-wise ECE, Brier, NLL, AURC.

    Scalars: those of :func:`~mmstreet.metrics.calibration_scores.calibration_scores`, in per cent but for Brier and NLL, and, with a
    temperature, the same again with ``_calibrated`` at the end. Memory does not grow with the data set. On a GPU the counts of an image
    are read with the next one, and its errors raise with the next batch, so that no image waits.

    Args:
        temperature: Divides the logits for the second measurement; None measures the model as it is only.
        fit_pixels: Labelled pixels of each image whose logits are kept in :attr:`sample`, to fit a temperature.
        ignore_index: Label of pixels that are not counted.
        prefix: Put before every scalar's name.
    """

    default_prefix = "calibration"
    folder = "calibration"

    needs_scores = True
    """``seg_logits`` of the samples are read."""

    def __init__(
        self,
        *,
        temperature: float | None = None,
        fit_pixels: int = 0,
        ignore_index: int = 255,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if temperature is not None and not temperature > 0:
            raise ValueError(f"temperature must be greater than 0, got {temperature}")
        self.temperatures = (1.0,) if temperature is None else (1.0, temperature)
        self.fit_pixels, self.ignore_index = fit_pixels, ignore_index
        self.report: dict | None = None
        self.sample: tuple[torch.Tensor, torch.Tensor] | None = None
        """Logits ``[C, N]`` and labels ``[N]`` of the last evaluation, with ``fit_pixels``."""
        self.watch = Watch()
        self._counts: list[CalibrationCounts] | None = None
        self._parts: list[tuple[Readback, Readback]] = []
        self._last: tuple | None = None
        self._seen = 0

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Count the pixels of one batch.

        Args:
            data_batch: Not used.
            data_samples: One dict per image with ``seg_logits`` and ``gt_sem_seg``, each with its array under ``data``.

        Raises:
            ValueError: If a sample has no logits of two or more classes, or logits or labels that cannot be used.
        """
        with self.watch.step():
            for sample in data_samples:
                image = str(sample.get("img_path") or f"image {self._seen}")
                logits, labels = read_scored_sample(
                    sample, image, meta=self.dataset_meta, ignore_index=self.ignore_index, purpose="calibration needs"
                )
                self._count(image, logits.flatten(1), labels.where(labels != self.ignore_index, -1).flatten())
                self._seen += 1

    def _count(self, image: str, logits: torch.Tensor, labels: torch.Tensor) -> None:
        valid = (labels >= 0) & (labels < len(logits))
        broken = ~logits.sum(0, dtype=torch.promote_types(logits.dtype, torch.float32)).isfinite() & valid
        check_later(broken.any(), lambda: _refuse_scores(image))
        winners = predicted_ids(logits)
        counts = [Readback(pack_calibration(logits, labels, temperature=value, winners=winners)) for value in self.temperatures]
        self._take_last()
        self._last = counts, (image, logits, labels, valid) if self.fit_pixels else None

    def _sample(self, pixels: int, image: str, logits: torch.Tensor, labels: torch.Tensor, valid: torch.Tensor) -> None:
        """Take the logits and labels of some of the labelled pixels of an image, always the same ones, to fit a temperature to."""
        order = np.random.default_rng(zlib.crc32(image.encode())).permutation(pixels)[: self.fit_pixels]
        ranks = to_device(torch.from_numpy(order + 1), valid.device)
        chosen = torch.searchsorted(valid.cumsum(0), ranks)  # where so many labelled pixels are reached
        self._parts.append((Readback(logits[:, chosen].float()), Readback(labels[chosen])))

    def _take_last(self) -> None:
        """Add the last image; it waits, for a sampler of several processes may repeat an image at the end."""
        if self._last is not None:
            counts, pixels = self._last
            counts = [CalibrationCounts.unpack(one.read()) for one in counts]
            self._counts = [a + b for a, b in zip(self._counts, counts)] if self._counts else counts
            if pixels is not None:
                self._sample(int(counts[0].pixels.sum()), *pixels)
            self._last = None

    def evaluate(self, size: int) -> dict[str, float]:
        """Add up the counts of all processes and compute the scalars; see :class:`mmengine.evaluator.BaseMetric`."""
        self.watch.read()
        rank, processes = get_dist_info()
        if (self._seen - 1) * processes + rank >= size:
            self._last = None  # repeated by the sampler
        self._take_last()
        gathered = all_gather_object((self._counts, [(logits.read(), labels.read()) for logits, labels in self._parts]))
        self._counts, self._parts, self._seen = None, [], 0
        metrics = self.compute_metrics(gathered)
        return {f"{self.prefix}/{name}" if self.prefix else name: value for name, value in metrics.items()}

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Compute the scalars.

        Args:
            results: Of each process the counts at each temperature, ``None`` without an image, and its sample of logits.

        Raises:
            ValueError: If no pixel is labelled.
        """
        known = [counts for counts, _ in results if counts]
        sums = [sum(parts[1:], parts[0]) for parts in zip(*known)]
        if not sums or not sums[0].pixels.sum():
            raise ValueError("not one pixel of the split is labelled with a class of the model; check the label folder and the class map")
        parts = [part for _, parts in results for part in parts]
        self.sample = (torch.cat([x for x, _ in parts], 1), torch.cat([y for _, y in parts])) if parts else None
        measured, metrics = [], {}
        for temperature, counts in zip(self.temperatures, sums):
            scores = {name: value * _UNITS.get(name, 100) for name, value in calibration_scores(counts).items()}
            curve = risk_coverage(counts, np.arange(1, 101) / 100)
            measured.append({"temperature": temperature, "scores": scores, "reliability": reliability(counts), "risk_coverage": curve})
            ending = "_calibrated" if metrics else ""
            metrics |= {name + ending: value for name, value in scores.items()}
        self.report = {"metrics": metrics, "pixels": int(sums[0].pixels.sum()), "measured": measured}
        print_log(f"calibration on {self.report['pixels']:,} pixels\n{format_calibration(measured)}", logger="current")
        return metrics

    def files(self) -> dict[str, dict | list]:
        """What a test run writes of the last evaluation."""
        return {"metrics.json": {"calibration": {name: self.report[name] for name in ("pixels", "measured")}}}


def _refuse_scores(image: str) -> None:
    raise ValueError(f"{image}: the model gives scores that are infinite or not a number")


def format_calibration(measured: Sequence[dict]) -> str:
    """Lay out a line per temperature."""
    names = list(measured[0]["scores"])
    lines = [f"{'temperature':>11}  " + "  ".join(f"{name:>{max(7, len(name))}}" for name in names)]
    for one in measured:
        cells = (f"{one['scores'][name]:>{max(7, len(name))}.{2 if name not in _UNITS else 4}f}" for name in names)
        lines.append(f"{one['temperature']:>11.4f}  " + "  ".join(cells))
    return "\n".join(lines)
