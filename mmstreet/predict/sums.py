"""Sums over results: those of chunks add up to the summary of all, and no record is opened for it a second time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field

_SHOWN = 5
_REASONS = 5


@dataclass
class ResultSums:
    """Sums over the records of results.

    Attributes:
        done: Number of results.
        failed: Source and reason of each that failed.
        shares: For each class the sum of its shares, weighted by pixels, and the sum of the weights.
        scores: Road safety: ``[score, source]`` of the lowest and the highest, their number and sum.
        unknown: Reasons for scores that are not known, with their numbers.
        changes: What a refiner changed, in pixels; ``None`` where nothing was refined.
    """

    done: int = 0
    failed: list[dict] = field(default_factory=list)
    shares: dict[str, list[float]] = field(default_factory=dict)
    scores: dict = field(default_factory=lambda: {"count": 0, "sum": 0.0, "lowest": [], "highest": []})
    unknown: dict[str, int] = field(default_factory=dict)
    changes: dict | None = None

    def add_record(self, record: Mapping) -> None:
        """Add a result."""
        self.done += 1
        weight = record["size_hw"][0] * record["size_hw"][1] * record.get("frames", 1)
        self._add_shares({name: [share * weight, weight] for name, share in record["shares"].items()})
        safety = record.get("safety")
        if safety and safety["score"] is None:
            self._add_unknown({str(safety.get("explanation")): 1})
        elif safety:
            row = [[safety["score"], record["source"]]]
            self._add_scores({"count": 1, "sum": safety["score"], "lowest": row, "highest": row})
        if record.get("changes"):
            self._add_changes(_plain_changes(record["changes"]))

    def add_failure(self, source: object, reason: str) -> None:
        """Add a source that failed."""
        self.failed.append({"source": str(source), "error": reason})

    def add(self, other: Mapping) -> None:
        """Add the sums of a chunk, as :meth:`to_dict` gives them."""
        self.done += other["done"]
        self.failed += other["failed"]
        self._add_shares(other["shares"])
        self._add_scores(other["scores"])
        self._add_unknown(other["unknown"])
        if other["changes"] is not None:
            self._add_changes(other["changes"])

    def to_dict(self) -> dict:
        """Return the sums as JSON knows them."""
        return asdict(self)

    def to_summary(self, total: int) -> dict:
        """Return the summary.

        Args:
            total: Number of all sources; those of which nothing is known are pending.
        """
        pending = total - self.done - len(self.failed)
        summary: dict = {"sources": total, "done": self.done, "failed": self.failed, "pending": pending}
        summary["shares"] = {name: value / weight for name, (value, weight) in self.shares.items()}
        if self.scores["count"]:
            mean = self.scores["sum"] / self.scores["count"]
            summary["safety"] = {"mean": mean, "lowest": self.scores["lowest"], "highest": self.scores["highest"]}
        if self.unknown:
            reasons = dict(Counter(self.unknown).most_common(_REASONS))
            summary.setdefault("safety", {})["unknown"] = {"count": sum(self.unknown.values()), "reasons": reasons}
        return summary

    def _add_shares(self, shares: Mapping[str, Iterable[float]]) -> None:
        for name, (value, weight) in shares.items():
            before = self.shares.setdefault(name, [0.0, 0])
            before[0] += value
            before[1] += weight

    def _add_scores(self, scores: Mapping) -> None:
        self.scores["count"] += scores["count"]
        self.scores["sum"] += scores["sum"]
        rows = sorted([*self.scores["lowest"], *scores["lowest"]])
        self.scores["lowest"] = rows[:_SHOWN]
        self.scores["highest"] = sorted([*self.scores["highest"], *scores["highest"]])[: -_SHOWN - 1 : -1]

    def _add_unknown(self, unknown: Mapping[str, int]) -> None:
        for reason, count in unknown.items():
            self.unknown[reason] = self.unknown.get(reason, 0) + count

    def _add_changes(self, changes: Mapping) -> None:
        if self.changes is None:
            self.changes = json.loads(json.dumps(changes))
            return
        for key in ("pixels", "changed_px", "protected_px"):
            self.changes[key] += changes[key]
        for name, counts in changes["per_class"].items():
            for kind, count in counts.items():
                self.changes["per_class"][name][kind] += count
        self.changes["regions"] = dict(Counter(self.changes["regions"]) + Counter(changes["regions"]))


def _plain_changes(record: Mapping) -> dict:
    kinds = ("lost_px", "gained_px")
    return {
        "pixels": record["size_hw"][0] * record["size_hw"][1],
        "changed_px": record["changed_px"],
        "protected_px": record["protected_px"],
        "per_class": {name: {kind: record[kind][i] for kind in kinds} for i, name in enumerate(record["classes"])},
        "regions": dict(record["verdicts"]),
    }
