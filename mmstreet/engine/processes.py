"""What the processes of one run do together: they join and leave, one decides for all, and their models are made equal."""

from __future__ import annotations

import atexit
import gc
import importlib
import pickle
import time
from collections.abc import Callable

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import all_gather, broadcast_object_list, get_world_size, is_main_process
from torch import nn

from mmstreet.engine.errors import LaunchError, TrainingStopped


def join_processes(cfg: Config) -> None:
    """Prepare this process for a run of several: without a GPU it joins the others here, with one mmengine lets it join.

    Args:
        cfg: With a ``launcher`` other than ``'none'``; on CPU ``model_wrapper_cfg`` is filled in.

    Raises:
        LaunchError: If the launcher cannot work without a GPU.
    """
    atexit.register(_leave_process_group)
    if get_device() != "cpu":
        return
    if cfg.launcher != "pytorch":
        raise LaunchError(f"launcher '{cfg.launcher}' needs a GPU; on CPU start the processes with torchrun (see docs/distributed.md)")
    if not torch.distributed.is_initialized():  # mmengine would select a CUDA device first, which a CPU build of torch does not have
        torch.distributed.init_process_group("gloo")
    cfg.model_wrapper_cfg = dict(
        {
            "type": "MMDistributedDataParallel",
            "broadcast_buffers": False,
            "find_unused_parameters": cfg.get("find_unused_parameters", False),
        }
        | dict(cfg.get("model_wrapper_cfg") or {}),
        device_ids=None,  # torch accepts ids of GPUs only
    )


def import_formatter(attempts: int = 8) -> None:
    """Import yapf, which mmengine prints configs with, before several processes do so at the same moment.

    yapf keeps its grammar in a file of the user's cache, which it names before its content is written: of processes that start together
    on a new machine one may read an empty file. It waits here and reads again.

    Args:
        attempts: How often it is read, after 0, 0.05, 0.1, 0.2, ... seconds.
    """
    for attempt in range(attempts):
        try:
            importlib.import_module("yapf.yapflib.yapf_api")
            return
        except (EOFError, pickle.UnpicklingError):
            if attempt == attempts - 1:
                raise
            time.sleep(0.05 * 2**attempt)


def _leave_process_group() -> None:
    """A process that ends while threads of the backend still run may be aborted by one of them, after all its work is done.

    The model holds the group and with it the threads, and the model is in cycles of references: they are collected first.
    """
    if torch.distributed.is_initialized():
        gc.collect()
        torch.distributed.destroy_process_group()


def decide_on_main(call: Callable[[], object]) -> object:
    """Run ``call`` on the main process and give its result to all; what stops it stops all of them, with the same sentence.

    Args:
        call: Without arguments; its result and the errors that it may raise, subclasses of ``TrainingStopped``, can be pickled.
    """
    said: list = [None, None]
    if is_main_process():
        try:
            said[0] = call()
        except TrainingStopped as stop:
            said[1] = stop
    broadcast_object_list(said)
    if said[1] is not None:
        raise said[1]
    return said[0]


@torch.no_grad()
def agree_on_buffers(model: nn.Module) -> None:
    """Give all processes the same buffers: the mean of batch norm's running statistics, the main process's of all others.

    Without this, each process validates with statistics of its own batches and those of the main process are saved. The mean is taken
    because it uses the images that all processes saw; other buffers, e.g. counters or queues, need not have a mean. Buffers that agree
    already keep every bit. Every process has to call this.

    Args:
        model: The same on every process.
    """
    if get_world_size() == 1:
        return
    for name, buffer in model.named_buffers():
        if not buffer.numel():
            continue
        everyones = all_gather(buffer.contiguous())
        if all(torch.equal(everyones[0], other) for other in everyones[1:]):
            continue
        running = name.endswith(("running_mean", "running_var"))
        buffer.copy_(torch.stack(everyones).mean(0) if running else everyones[0])
