"""The processes that load data end with the run that started them."""

from __future__ import annotations

import contextlib
import multiprocessing
from collections.abc import Iterator

from mmengine.runner import Runner


@contextlib.contextmanager
def data_workers(runner: Runner) -> Iterator[None]:
    """End the processes of a runner's data loaders when the block ends, however it ends.

    mmengine leaves them to the garbage collector. That finds the queues closed through which they would be told to end, waits five seconds
    for each, and does so at any later moment: in a second stage, or in a notebook, which until then keep all these processes too.
    """
    others = set(multiprocessing.active_children())
    try:
        yield
    finally:
        for loop in (runner._train_loop, runner._val_loop, runner._test_loop):
            for part in (getattr(loop, "dataloader", None), getattr(loop, "dataloader_iterator", None)):
                workers = getattr(part, "_iterator", None)
                if hasattr(workers, "_shutdown_workers"):
                    workers._shutdown_workers()
                    part._iterator = None
        for process in set(multiprocessing.active_children()) - others:  # those of an iterator that an error's traceback holds
            process.terminate()
            process.join()
