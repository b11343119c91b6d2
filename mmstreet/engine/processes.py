"""What the processes of one run do together: one decides for all, and their models are made equal."""

from __future__ import annotations

from collections.abc import Callable

import torch
from mmengine.dist import all_gather, broadcast_object_list, get_world_size, is_main_process
from torch import nn

from mmstreet.engine.errors import TrainingStopped


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
