"""Train until a checkpoint is half written, say so, and wait to be killed: python killed_run.py WORK_DIR CHECKPOINT_NAME."""

import builtins
import sys
import time

from mmengine.runner import Runner

from tests.helpers.tiny_runs import tiny_config


class SlowFile:
    """A file whose first write stops in the middle, says so and sleeps."""

    def __init__(self, file) -> None:
        self.file = file

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()

    def write(self, data: bytes) -> None:
        self.file.write(data[: len(data) // 2])
        self.file.flush()
        print("half written", flush=True)
        time.sleep(60)


def main(work_dir: str, name: str) -> None:
    """Train with every file called ``name`` written slowly."""
    real_open = builtins.open

    def open_slowly(path, mode="r", **settings):
        file = real_open(path, mode, **settings)
        return SlowFile(file) if "w" in mode and name in str(path) else file

    builtins.open = open_slowly
    hook = dict(type="mmstreet.AtomicCheckpointHook", interval=1, max_keep_ckpts=1)
    Runner.from_cfg(tiny_config(work_dir, checkpoint=hook)).train()


if __name__ == "__main__":
    main(*sys.argv[1:])
