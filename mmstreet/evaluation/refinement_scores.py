"""What each refiner did on the images of a test, in counts that add up, and the table of its scores."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from mmstreet.files import confusion_scores as S
from mmstreet.files.image_confusions import bootstrap, interval
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.files.numbers import percent
from mmstreet.files.refinement_rows import Intervals, list_measures, list_regions
from mmstreet.files.tables import markdown_table
from mmstreet.metrics import functional as F
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.refine.prediction import thin_names
from mmstreet.refine.record import ChangeRecord

RADIUS_PX = 3
NO_CLASS = "no class"


@dataclass(eq=False)
class RefinementCounts:
    """What one system did on some images: pixels by truth and prediction, seconds, changed pixels, regions by class and verdict."""

    confusion: np.ndarray
    boundary: np.ndarray
    seconds: float = 0.0
    changed_px: int = 0
    pixels: int = 0
    regions: Counter[tuple[str, str]] = field(default_factory=Counter)

    def __add__(self, other: RefinementCounts) -> RefinementCounts:
        return RefinementCounts(
            self.confusion + other.confusion,
            self.boundary + other.boundary,
            self.seconds + other.seconds,
            self.changed_px + other.changed_px,
            self.pixels + other.pixels,
            self.regions + other.regions,
        )


@dataclass(frozen=True)
class ScoringRules:
    """How maps are scored: class names, which id is ignored, whether a background counts, which classes are absent."""

    names: tuple[str, ...]
    ignore_index: int = IGNORE_INDEX
    background: bool = False
    scene: bool = False
    convention: str = "mmseg"

    @classmethod
    def of(cls, metric: StreetIoUMetric) -> ScoringRules:
        """Take over the rules of a metric."""
        return cls(metric.names, metric.ignore_index, metric.counts_background, metric.scope == "scene", metric.convention)

    def count(self, labels: np.ndarray, preds: np.ndarray, *, seconds: float = 0.0, record: ChangeRecord | None = None) -> RefinementCounts:
        """Score one map against the truth, integers ``[H, W]`` both; ``record`` says what a refiner changed."""
        size = len(self.names)
        truth = np.where(labels == size, self.ignore_index, labels) if self.background and not self.scene else labels
        # A copy in one integer type: torch knows few unsigned ones, and 255 in a prediction is "no class".
        maps = [torch.from_numpy(x.astype(np.int64)) for x in (truth, np.minimum(preds, size))]
        ways = dict(num_classes=size, ignore_index=self.ignore_index, background=self.background)
        confusion = F.confusion_matrix(*maps, **ways).numpy()
        boundary = F.boundary_confusion(*maps, radius_px=RADIUS_PX, **ways).numpy()
        regions = Counter(
            (NO_CLASS if region.class_id is None else record.classes[region.class_id], region.verdict.partition(":")[0])
            for region in (record.regions if record else ())
        )
        return RefinementCounts(confusion, boundary, seconds, record.changed_px if record else 0, labels.size, regions)

    def compare(self, images: Sequence[Mapping[str, RefinementCounts]], first: str, other: str) -> dict[str, list[float] | None]:
        """Return the 95 % intervals of the differences between two systems, by the paired bootstrap over images.

        Args:
            images: For each image the counts by system.
            first: The system that is subtracted.
            other: The one it is subtracted from.

        Returns:
            ``[low, high]`` in per cent points by the name of the score, ``None`` where nothing can be measured.
        """
        thin = [self.names.index(name) for name in thin_names(self.names)]

        def score(sums: np.ndarray) -> dict[str, np.ndarray]:
            iou, edges = (S.iou_per_class(sums[:, part], convention=self.convention) for part in (0, 1))
            means = {"mIoU": S.mean_present(iou), "boundary_IoU": S.mean_present(edges), "thin_IoU": S.mean_present(iou, thin)}
            return means | {f"IoU/{name}": iou[:, i] for i, name in enumerate(self.names)}

        counts = ([np.stack([found[name].confusion, found[name].boundary]) for found in images] for name in (first, other))
        before, after = (bootstrap(np.array(one), score) for one in counts)
        return {name: interval(after[name] - before[name]) for name in before}

    def summarize(self, name: str, counts: RefinementCounts, *, images: int) -> dict:
        """Return a system's scores in per cent, ``None`` where nothing can be measured, and its regions by verdict."""
        iou, edges = (S.iou_per_class(pixels, convention=self.convention) for pixels in (counts.confusion, counts.boundary))
        thin = [self.names.index(thin_name) for thin_name in thin_names(self.names)]
        means = {"mIoU": S.mean_present(iou), "boundary_IoU": S.mean_present(edges), "thin_IoU": S.mean_present(iou, thin)}
        verdicts: Counter[str] = Counter()
        by_class: dict[str, dict[str, int]] = {}
        for (label, verdict), number in sorted(counts.regions.items()):
            verdicts[verdict] += number
            by_class.setdefault(label, {})[verdict] = number
        return {
            "name": name,
            **{key: percent(value) for key, value in means.items()},
            "seconds_per_image": counts.seconds / images,
            "changed_percent": 100 * counts.changed_px / max(1, counts.pixels),
            "per_class": [
                {"class": label, "IoU": percent(iou[i]), "boundary_IoU": percent(edges[i])} for i, label in enumerate(self.names)
            ],
            "regions": dict(verdicts),
            "regions_per_class": by_class,
        }


def refinement_table(report: Mapping) -> str:
    """Lay out the scores, one column per system and one line per measure, in brackets the difference to the first and its interval.

    Below it is what became of the regions that asked for a change: all of them and those of each class, by verdict, which says why
    a refiner changed nothing.

    Args:
        report: ``systems``, dicts as from :meth:`ScoringRules.summarize`, and ``boundary_radius_px``.
    """
    rows = [
        [title, *(_plain(values) if limits is None else _with_difference(values, limits))]
        for title, values, limits in list_measures(report)
    ]
    names = [system["name"] for system in report["systems"]]
    regions = [[title, *(f"{number:,}" for number in numbers)] for title, numbers in list_regions(report)]
    below = [markdown_table(["regions", *names[1:]], regions)] if regions else []
    return "\n\n".join([markdown_table(["", *names], rows), *below])


def _plain(values: Sequence[float | None]) -> list[str | None]:
    return [None if value is None else f"{value:.3f}" for value in values]


def _with_difference(values: Sequence[float | None], limits: Intervals) -> list:
    first, cells = values[0], list(values[:1])
    for value, between in zip(values[1:], limits[1:]):
        sure = f", {between[0]:+.2f} to {between[1]:+.2f}" if between else ""
        cells.append(value if value is None or first is None else f"{value:.2f} ({value - first:+.2f}{sure})")
    return cells
