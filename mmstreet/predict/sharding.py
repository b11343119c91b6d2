"""Independent work, file by file, over the processes of torchrun or of a Slurm array: who takes what, and one summary of all."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mmstreet.files.atomic import write_text

Item = TypeVar("Item")

_SCHEDULERS = (
    ("torchrun", "RANK", "WORLD_SIZE", None),
    ("Slurm array", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    # Not SLURM_NTASKS: a batch script has that too, though it is one process.
    ("srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", None),
)


@dataclass(frozen=True)
class Shard:
    """One of ``count`` equal shares; ``index`` runs from 0.

    Raises:
        ValueError: If the index is not below the count, or negative.

    Example:
        >>> [Shard(i, 2).take("abcde") for i in range(2)]
        [['a', 'c', 'e'], ['b', 'd']]
    """

    index: int = 0
    count: int = 1

    def __post_init__(self):
        if not 0 <= self.index < self.count:
            raise ValueError(f"a shard needs 0 <= index < count, got index {self.index} of {self.count}")

    def take(self, items: Sequence[Item]) -> list[Item]:
        """Return every ``count``-th item: shares differ by one item at most, and neighbours, which tend to cost the same, are spread."""
        return list(items[self.index :: self.count])


def current_shard(environ: Mapping[str, str] | None = None) -> Shard:
    """Read from the environment which share this process has.

    torchrun's ``RANK`` and ``WORLD_SIZE`` count first, then a Slurm array's task number, then the number of a task that ``srun`` started.
    torchrun within the tasks of an array, or several srun tasks in each, multiply: each process has its own share.

    Args:
        environ: The environment; default: that of this process.

    Returns:
        The share; the only one where nobody started several processes.

    Raises:
        ValueError: If the numbers contradict each other, e.g. an array with gaps, ``--array=0,5,9``.

    Example:
        >>> current_shard({"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1"})
        Shard(index=2, count=4)
    """
    environ = os.environ if environ is None else environ
    found = {kind: _read(environ, kind, *names) for kind, *names in _SCHEDULERS if names[0] in environ and names[1] in environ}
    array = found.get("Slurm array", Shard())
    inner = found.get("torchrun", found.get("srun", Shard()))
    return Shard(array.index * inner.count + inner.index, array.count * inner.count)


def _read(environ: Mapping[str, str], kind: str, index: str, count: str, first: str | None) -> Shard:
    number, total, start = int(environ[index]), int(environ[count]), int(environ.get(first, 0)) if first else 0
    if not 0 <= number - start < total:
        raise ValueError(
            f"{kind}: {index}={number} is not one of the {total} numbers from {start} on; number the tasks without gaps, "
            f"e.g. --array=0-{total - 1}"
        )
    return Shard(number - start, total)


def publish(read: Callable[[], str], path: str | Path) -> str:
    """Write what is known of the whole work, so that the last process to call this leaves the complete report, without any lock.

    Every process calls it when its own share is done. It writes what ``read`` finds on the disk and reads again, until nothing new has
    come in the meantime. The write that comes last is thus followed by a look that found nothing to add.

    Args:
        read: Gathers the state of all shares from their files, as the text to write; the same files give the same text.
        path: Where the summary goes; it is replaced in one step.

    Returns:
        What was written last.
    """
    written = None
    while (text := read()) != written:
        write_text(text, path)
        written = text
    return written
