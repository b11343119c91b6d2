"""Working through a long series in several processes, in order and with little in memory."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import platform
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from itertools import islice
from multiprocessing.connection import wait
from typing import Any

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3
"""Numbers of these settings in glibc's ``malloc.h``."""


def available_cores() -> int:
    """Return the number of cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def map_chunks(work: Callable[[list], Any], items: Iterable, *, workers: int, chunk_size: int = 8) -> Iterator[Any]:
    """Apply ``work`` to lists of up to ``chunk_size`` items and yield its results in the order of the items.

    Items are taken from ``items`` only when a process is about to need them, so memory does not grow with their number.

    Args:
        work: A function that can be pickled, or any function with one worker.
        items: What to work on.
        workers: Processes; 1 works in this one.
        chunk_size: Items that a process takes at a time.

    Raises:
        ValueError: If ``workers`` is less than 1.
    """
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, got {workers}")
    items = iter(items)
    chunks = iter(lambda: list(islice(items, chunk_size)), [])
    if workers == 1:
        yield from map(work, chunks)
        return
    # A forked child inherits locks that threads of the parent hold, such as a progress bar's; a spawned one does not.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker) as pool:
        running: deque[Future] = deque()
        try:
            for some in chunks:
                running.append(pool.submit(work, some))
                if len(running) > 2 * workers:
                    yield running.popleft().result()
            while running:
                yield running.popleft().result()
        finally:
            for future in running:
                future.cancel()


def _start_worker() -> None:
    """Let a worker end with its parent: one that waits for work would outlive a parent that was killed, and hold its files open."""

    def end_with_parent() -> None:
        wait([multiprocessing.parent_process().sentinel])
        os._exit(1)

    threading.Thread(target=end_with_parent, daemon=True).start()
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let glibc keep what a worker frees, for its next picture.

    By default it gives blocks of a few megabytes back to the system and asks for them again with every picture. On a virtual
    machine these page faults took a third of the time of reading bitmasks.
    """
    if platform.libc_ver()[0] == "glibc":
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_TRIM_THRESHOLD, 1 << 28)
        libc.mallopt(_M_MMAP_THRESHOLD, 1 << 25)
