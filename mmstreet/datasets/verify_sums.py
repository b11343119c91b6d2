"""What a verification sums up over pairs of files: sums of parts add up to the sums of all, in any order."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np


class PairReport(NamedTuple):
    """What one pair of files holds: pixels per train id (255 is void), sizes (h, w) or None where unreadable, and problems."""

    split: str
    counts: np.ndarray | None
    image_hw: tuple[int, int] | None
    problems: list[dict]


@dataclass
class SplitSums:
    """Sums of a split: sizes of its images, pixels per train id, int64 ``[256]``, and a label file, the first by name."""

    sizes: Counter = field(default_factory=Counter)
    pixels: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    first: str | None = None


@dataclass
class VerifySums:
    """Sums over pairs of files.

    Attributes:
        splits: The sums of each split.
        files_with: Number of label files that have each train id, int64 ``[256]``.
        problems: Everything that is wrong.
    """

    splits: dict[str, SplitSums] = field(default_factory=dict)
    files_with: np.ndarray = field(default_factory=lambda: np.zeros(256, np.int64))
    problems: list[dict] = field(default_factory=list)

    def add_pair(self, report: PairReport, label_path: str | None, lut: np.ndarray | None = None) -> None:
        """Add one pair.

        Args:
            report: What it holds.
            label_path: Its label file.
            lut: Train ids of the classes that are learned, by those of the file, uint8 ``[256]``; None where they are the same.
        """
        split = self.splits.setdefault(report.split, SplitSums())
        self.problems += report.problems
        if label_path is not None:
            split.first = min(filter(None, (split.first, label_path)))
        if report.image_hw is not None:
            split.sizes["{1}x{0}".format(*report.image_hw)] += 1
        if report.counts is not None:
            counts = report.counts
            if lut is not None:
                counts = np.zeros(256, np.int64)
                np.add.at(counts, lut, report.counts)
            split.pixels += counts
            self.files_with += counts > 0

    def add(self, other: VerifySums) -> None:
        """Add the sums of other pairs."""
        for name, theirs in other.splits.items():
            ours = self.splits.setdefault(name, SplitSums())
            ours.sizes.update(theirs.sizes)
            ours.pixels += theirs.pixels
            ours.first = min(filter(None, (ours.first, theirs.first)), default=None)
        self.files_with += other.files_with
        self.problems += other.problems

    def to_dict(self) -> dict:
        """Return the sums as JSON knows them."""
        splits = {name: {"sizes": dict(x.sizes), "pixels": x.pixels.tolist(), "first": x.first} for name, x in self.splits.items()}
        return {"splits": splits, "files_with": self.files_with.tolist(), "problems": self.problems}

    @classmethod
    def from_dict(cls, content: dict) -> VerifySums:
        """Return what :meth:`to_dict` gave."""
        splits = {
            name: SplitSums(Counter(x["sizes"]), np.array(x["pixels"], np.int64), x["first"]) for name, x in content["splits"].items()
        }
        return cls(splits, np.array(content["files_with"], np.int64), list(content["problems"]))
