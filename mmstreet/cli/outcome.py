"""What a command that works through files one by one prints at its end."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmstreet.predict.chunks import ShareDone
    from mmstreet.predict.folder import PredictionFolder
    from mmstreet.predict.predictor import Predictor
    from mmstreet.predict.result import Result
    from mmstreet.predict.sources import Source

_SHOWN_FAILURES = 5
SHOWN_IMAGES = 20
"""Of more images than these nothing is printed one by one."""
_SHOWN_CLASSES = 5


class ImageLines:
    """Prints what each image shows: size, time, road-safety score where the classes allow one, classes and shares.

    Args:
        predictor: Knows the classes.
        count: Images of the run; of a single one every class is printed.
    """

    def __init__(self, predictor: Predictor, count: int) -> None:
        from mmstreet.labels import find_table
        from mmstreet.safety.analyzer import RoadSafetyAnalyzer

        self.count, self.analyze = count, None
        own = find_table({"label_rows": predictor.model.label_rows})
        with contextlib.suppress(ValueError):  # classes whose meaning on the road is not known have no score
            analyzer = RoadSafetyAnalyzer(**({"classes": predictor.classes} if own is None else {"table": own}))
            self.analyze = None if analyzer.blindness else analyzer

    def __call__(self, source: Source, result: Result, ms: float) -> None:
        """Print one image."""
        from tqdm import tqdm

        height, width = result.labels.shape
        facts = [f"{width}x{height}", f"{ms:.0f} ms"]
        safety = None if self.analyze is None else self.analyze(result.labels, result.instances)
        if safety is not None and safety.score is not None:
            facts.append(f"safety {safety.score:.0f} of 100, {safety.level} risk")
        if result.instances is not None:
            facts.append(
                f"{len(result.instances.scores)} objects" + "".join(f" {score:.2f}" for score in result.instances.scores[:_SHOWN_CLASSES])
            )
        rows = share_rows(result.shares)
        shown = [] if self.count == 1 else [", ".join(" ".join(row.split("  ")[::-1]).strip() for row in rows[:_SHOWN_CLASSES])]
        tqdm.write("; ".join([f"{source.name}: {', '.join(facts)}", *shown]))
        if self.count == 1:
            tqdm.write("\n".join(rows))


def share_rows(shares: Mapping[str, float]) -> list[str]:
    """Return lines of share and class, the greatest first; shares that round to nothing are left out."""
    rows = sorted(((share, name) for name, share in shares.items() if share >= 0.005), key=lambda row: -row[0])
    return [f"{share:6.2f} %  {name}" for share, name in rows]


def print_outcome(share: ShareDone, folder: PredictionFolder, *, verb: str, total: int, remark: str = "") -> None:
    """Print one line of counts, and the first failures on stderr.

    Args:
        share: What this process did.
        folder: Where the results are.
        verb: What was done, e.g. ``'predicted'``.
        total: Files of all processes.
        remark: Stands before the folder.
    """
    from mmstreet.predict.folder import SUMMARY

    outcome, shard = share.outcome, share.shard
    for source, reason in list(outcome.failed.items())[:_SHOWN_FAILURES]:
        print(f"failed: {source.path}: {reason}", file=sys.stderr)
    if len(outcome.failed) > _SHOWN_FAILURES:
        print(f"failed: {len(outcome.failed) - _SHOWN_FAILURES} more, listed in {folder.root / SUMMARY}", file=sys.stderr)
    process = f" (share {shard.index + 1} of {shard.count})" if shard.count > 1 else ""
    counts = f"{outcome.done} {verb}, {share.skipped} finished before, {len(outcome.failed)} failed"
    left = f"; {share.summary['pending']} left to other processes" if share.summary["pending"] else ""
    print(f"{total} files{process}: {counts}; {remark}results in {folder.root}{left}")
