"""A training in a process of its own that has written half of a checkpoint, and waits to be killed."""

import builtins
import time
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

import torch
from mmengine.runner import Runner

from tests.helpers.tiny_runs import tiny_config


class SlowFile:
    """A file whose first write stops in the middle, says so and sleeps."""

    def __init__(self, file, said: Connection) -> None:
        self.file, self.said = file, said

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, data: bytes) -> None:
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        self.said.send("half written")
        time.sleep(60)


@contextmanager
def half_written(work_dir: Path, name: str) -> Iterator[BaseProcess]:
    """Give the process, forked from this one, once it has half written the checkpoint; it is killed at the end at the latest."""
    context = torch.multiprocessing.get_context("fork")
    heard, said = context.Pipe(duplex=False)
    process = context.Process(target=_train, args=(said, str(work_dir), name))
    process.start()
    try:
        assert heard.poll(60)
        yield process
    finally:
        process.kill()
        process.join()


def _train(said: Connection, work_dir: str, name: str) -> None:
    """Train with every file called ``name`` written slowly."""
    real_open = builtins.open

    def open_slowly(path, mode="r", **settings):
        file = real_open(path, mode, **settings)
        return SlowFile(file, said) if "w" in mode and name in str(path) else file

    builtins.open = open_slowly
    hook = dict(type="mmstreet.AtomicCheckpointHook", interval=1, max_keep_ckpts=1)
    Runner.from_cfg(tiny_config(work_dir, checkpoint=hook)).train()
