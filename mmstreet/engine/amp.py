"""Mixed precision where there is no GPU."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper

from mmstreet.registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class CpuAmpOptimWrapper(OptimWrapper):
    """Run the forward pass in bfloat16 on CPU; weights, gradients and the optimizer stay float32.

    bfloat16 has float32's range, so no loss scaling is needed. mmengine's ``AmpOptimWrapper`` refuses to run on CPU.

    Args:
        optimizer: The optimizer.
        accumulative_counts: Iterations whose gradients are added up before a step.
        clip_grad: Settings of gradient clipping, e.g. ``dict(max_norm=1.0)``.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, *, accumulative_counts: int = 1, clip_grad: dict | None = None) -> None:
        super().__init__(optimizer, accumulative_counts=accumulative_counts, clip_grad=clip_grad)

    @contextmanager
    def optim_context(self, model: torch.nn.Module) -> Iterator[None]:
        """Enter bfloat16 autocast on top of mmengine's own context."""
        with super().optim_context(model), torch.autocast("cpu", torch.bfloat16):
            yield
