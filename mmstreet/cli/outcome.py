"""What a command that works through files one by one prints at its end."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mmstreet.predict.folder import PredictionFolder
    from mmstreet.predict.job import Outcome
    from mmstreet.predict.sharding import Shard

_SHOWN_FAILURES = 5


def print_outcome(
    outcome: Outcome, shard: Shard, folder: PredictionFolder, *, verb: str, total: int, skipped: int, remark: str = ""
) -> None:
    """Print one line of counts, and the first failures on stderr.

    Args:
        outcome: What was done and what failed.
        shard: The share of this process.
        folder: Where the results are.
        verb: What was done, e.g. ``'predicted'``.
        total: Files of all processes.
        skipped: Files of this process that were finished before.
        remark: Stands before the folder.
    """
    from mmstreet.predict.folder import SUMMARY

    for source, reason in list(outcome.failed.items())[:_SHOWN_FAILURES]:
        print(f"failed: {source.path}: {reason}", file=sys.stderr)
    if len(outcome.failed) > _SHOWN_FAILURES:
        print(f"failed: {len(outcome.failed) - _SHOWN_FAILURES} more, listed in {folder.root / SUMMARY}", file=sys.stderr)
    share = f" (share {shard.index + 1} of {shard.count})" if shard.count > 1 else ""
    counts = f"{outcome.done} {verb}, {skipped} finished before, {len(outcome.failed)} failed"
    print(f"{total} files{share}: {counts}; {remark}results in {folder.root}")
