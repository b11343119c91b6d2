"""The record of a refinement: which pixels changed class, and what became of every region that asked for a change."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

from mmstreet.labels import IGNORE_INDEX

ACCEPTED = "accepted"


@dataclass(frozen=True)
class RegionReport:
    """One region: its box, the class that it stood for, its size, the source's score, and ``'accepted'`` or why it was refused."""

    box_xyxy: tuple[int, int, int, int]
    class_id: int | None
    area_px: int
    score: float
    verdict: str

    @property
    def accepted(self) -> bool:
        """Whether the region had a say in the result."""
        return self.verdict == ACCEPTED


@dataclass(frozen=True)
class ChangeRecord:
    """What a refiner did to one label map.

    Attributes:
        refiner: Name of the refiner.
        size_hw: Size of the map.
        classes: Class names in the order of their ids.
        changed_px: Number of pixels that changed class.
        lost_px: Pixels that each class lost, one number per class.
        gained_px: Pixels that each class gained.
        protected_px: Pixels that were put back because their class, or the one wanted for them, is protected or frozen.
        regions: The regions that asked for a change; empty for refiners that work without regions.
    """

    refiner: str
    size_hw: tuple[int, int]
    classes: tuple[str, ...]
    changed_px: int
    lost_px: tuple[int, ...]
    gained_px: tuple[int, ...]
    protected_px: int
    regions: tuple[RegionReport, ...]

    @property
    def verdicts(self) -> dict[str, int]:
        """How many regions were accepted, and how many refused for each reason, numbers in the reasons left out."""
        return dict(Counter(region.verdict.partition(":")[0] for region in self.regions))

    def to_json(self) -> str:
        """Write the record as JSON, with ``verdicts`` beside the fields."""
        return json.dumps(asdict(self) | {"verdicts": self.verdicts}, ensure_ascii=False)


def record_changes(
    before: np.ndarray,
    after: np.ndarray,
    *,
    refiner: str,
    classes: Sequence[str],
    protected_px: int = 0,
    regions: Sequence[RegionReport] = (),
) -> ChangeRecord:
    """Compare two label maps, uint8 ``[H, W]``, that agree on where no class is.

    Example:
        >>> before, after = np.array([[0, 0, 1]], np.uint8), np.array([[0, 1, 1]], np.uint8)
        >>> record = record_changes(before, after, refiner="x", classes=("road", "pole"))
        >>> record.changed_px, record.lost_px, record.gained_px
        (1, (1, 0), (0, 1))
    """
    changed = before != after
    counts = [np.bincount(labels[changed], minlength=IGNORE_INDEX + 1)[: len(classes)].tolist() for labels in (before, after)]
    return ChangeRecord(
        refiner=refiner,
        size_hw=tuple(before.shape),
        classes=tuple(classes),
        changed_px=int(changed.sum()),
        lost_px=tuple(counts[0]),
        gained_px=tuple(counts[1]),
        protected_px=int(protected_px),
        regions=tuple(regions),
    )
