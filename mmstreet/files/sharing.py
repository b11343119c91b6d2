"""Independent work, chunk by chunk, over the processes of torchrun, Slurm or Ray: who takes what, and one summary of all."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from mmstreet.files.atomic import write_text
from mmstreet.files.leases import Leases

Item = TypeVar("Item")

JOB = "MMSTREET_JOB"
"""Environment variable that names the work that processes share, where no scheduler does; each of them has the same."""
RAY_JOB = "ray-"
"""Beginning of the names that ``--launcher ray`` gives, each to one run only."""
STATE = ".shares"
"""Folder of the leases and of the chunks' results, beside the results."""
_CHUNKS, _MOST = 64, 64
"""About so many chunks, and at most so many items in one."""
_SCHEDULERS = (
    ("torchrun", "RANK", "WORLD_SIZE", None),
    ("Slurm array", "SLURM_ARRAY_TASK_ID", "SLURM_ARRAY_TASK_COUNT", "SLURM_ARRAY_TASK_MIN"),
    # Not SLURM_NTASKS: a batch script has that too, though it is one process.
    ("srun", "SLURM_PROCID", "SLURM_STEP_NUM_TASKS", None),
)


@dataclass(frozen=True)
class Shard:
    """One of ``count`` processes; ``index`` runs from 0.

    Raises:
        ValueError: If the index is not below the count, or negative.
    """

    index: int = 0
    count: int = 1

    def __post_init__(self):
        if not 0 <= self.index < self.count:
            raise ValueError(f"a shard needs 0 <= index < count, got index {self.index} of {self.count}")


def choose_size(count: int, *, multiple: int = 1) -> int:
    """Return how many of ``count`` items a chunk has, the same for any number of processes, a multiple of such as a batch size.

    Example:
        >>> choose_size(10), choose_size(10, multiple=4), choose_size(1000), choose_size(1_000_000)
        (1, 4, 16, 64)
    """
    return -(-max(1, min(_MOST, -(-count // _CHUNKS))) // multiple) * multiple


def cut_chunks(items: Sequence[Item], size: int) -> list[list[Item]]:
    """Cut a series into chunks of ``size`` items; the last may be smaller."""
    return [list(items[i : i + size]) for i in range(0, len(items), size)]


class SharedWork:
    """Chunks that the processes of a job do together; a process by itself does them in order and leaves no state on the disk.

    Args:
        chunks: The same in every process.
        folder: Where the results go; the state of the work is in :data:`STATE` inside.
        names: What the chunks are made of, as a text; other work has other state.
        shard: This process; default: what the environment says.
        environ: The environment; default: that of this process.
    """

    def __init__(
        self,
        chunks: Sequence[list[Item]],
        folder: str | Path,
        *,
        names: Iterable[str],
        shard: Shard | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self.chunks = chunks
        self.shard = current_shard(environ) if shard is None else shard
        job, is_unique = current_job(environ)
        self._own: dict[int, dict] = {}
        self._leases = None
        if job:
            digest = hashlib.sha256(str([len(chunk) for chunk in chunks]).encode())
            for name in names:
                digest.update(f"{name}\n".encode("utf-8", "surrogateescape"))
            first = self.shard.index * len(chunks) // self.shard.count
            self._leases = Leases(Path(folder) / STATE / digest.hexdigest()[:16], len(chunks), job=job, again=not is_unique, first=first)

    @property
    def job(self) -> str:
        """The name of the job, empty for a process by itself."""
        return "" if self._leases is None else self._leases.job

    def run(self, do: Callable[[list[Item]], dict]) -> None:
        """Do chunks until none is left that nobody else is at; ``do`` returns a chunk's result as JSON knows it."""
        if self._leases is None:
            self._own |= {number: do(chunk) for number, chunk in enumerate(self.chunks)}
            return
        for number in self._leases:
            self._leases.finish(number, do(self.chunks[number]))

    def results(self) -> list[dict]:
        """Return the results of the chunks that are done by now, by any process, in the order of the chunks."""
        found = self._own if self._leases is None else self._leases.results()
        return [found[number] for number in sorted(found)]

    def is_complete(self) -> bool:
        """Tell whether every chunk is done."""
        return len(self._own) == len(self.chunks) if self._leases is None else self._leases.is_complete()


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


def current_job(environ: Mapping[str, str] | None = None) -> tuple[str, bool]:
    """Read from the environment what the processes that share work have in common.

    Args:
        environ: The environment; default: that of this process.

    Returns:
        A name, empty where nobody started several processes, and whether a later start has another name.

    Example:
        >>> current_job({"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_JOB_ID": "77"})
        ('slurm-77', True)
    """
    environ = os.environ if environ is None else environ
    if environ.get(JOB):
        return environ[JOB], environ[JOB].startswith(RAY_JOB)
    if current_shard(environ).count == 1:
        return "", True
    parts = []
    slurm = environ.get("SLURM_ARRAY_JOB_ID") or environ.get("SLURM_JOB_ID")
    if slurm:
        restart = environ.get("SLURM_RESTART_COUNT")
        parts += [
            "slurm",
            slurm,
            *([environ["SLURM_STEP_ID"]] if "SLURM_STEP_ID" in environ else []),
            *([f"r{restart}"] if restart else []),
        ]
    run = environ.get("TORCHELASTIC_RUN_ID", "none")
    if "RANK" in environ and not slurm:
        parts += ["torchrun", run, environ.get("MASTER_ADDR", ""), environ.get("MASTER_PORT", "")]
    return "-".join(parts) or "job", bool(slurm) or run != "none"


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
