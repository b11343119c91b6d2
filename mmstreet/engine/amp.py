"""Mixed precision: of a whole run, and what it needs where there is no GPU."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.logging import print_log
from mmengine.optim import OptimWrapper
from torch import nn

from mmstreet.engine.errors import LaunchError
from mmstreet.registry import OPTIM_WRAPPERS

_SLOWER = 1.5
"""So much longer a step may take in bfloat16 before it is refused; a machine that works on something else measures a little wrong."""


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


def set_mixed_precision(cfg: Config) -> None:
    """Switch a run to mixed precision: float16 on a GPU, with loss scaling in training, bfloat16 on a CPU; validation and test too.

    On a CPU without bfloat16 arithmetic the run stays in float32, and says so.

    Args:
        cfg: The config, changed in place.

    Raises:
        LaunchError: If the optimizer wrapper is of an unknown type, or for a detector on a CPU.
    """
    kind = (cfg.get("optim_wrapper") or {}).get("type", "OptimWrapper")
    known = ("AmpOptimWrapper", "mmstreet.CpuAmpOptimWrapper")
    if kind not in (*known, "OptimWrapper"):
        raise LaunchError(f"mixed precision needs optim_wrapper.type='OptimWrapper', but the config has '{kind}'; leave --amp out")
    on_cpu = get_device() == "cpu"
    if on_cpu:
        if cfg.get("default_scope") == "mmdet":
            raise LaunchError("mixed precision on a CPU is bfloat16, which mmcv's NMS and RoIAlign do not take; leave --amp out")
        reason = refuse_bfloat16()
        if reason is not None:
            print_log(f"--amp changes nothing here: {reason}; the run stays in float32", logger="current", level=logging.WARNING)
            return
    for loop in ("val_cfg", "test_cfg"):
        if cfg.get(loop) is not None and cfg[loop].get("type", "ValLoop") in ("ValLoop", "TestLoop"):
            cfg[loop].fp16 = True
    if kind in known or not cfg.get("optim_wrapper"):
        return
    cfg.optim_wrapper.type = "mmstreet.CpuAmpOptimWrapper" if on_cpu else "AmpOptimWrapper"
    if not on_cpu:
        cfg.optim_wrapper.loss_scale = "dynamic"


def refuse_bfloat16() -> str | None:
    """Ask this processor whether bfloat16 is worth it: why not, or None.

    Without AVX-512 or AMX a convolution in bfloat16 takes tens of times as long as in float32, and torch does not say so.
    """
    ask = getattr(torch.ops.mkldnn, "_is_mkldnn_bf16_supported", None)
    slower = time_bfloat16()
    if ask is not None and not ask():
        return (
            f"this processor has no bfloat16 arithmetic, a step of a 3x3 convolution takes {slower:.1f} times as long in it as in float32"
        )
    return None if slower <= _SLOWER else f"a step of a 3x3 convolution takes {slower:.1f} times as long in bfloat16 as in float32"


def time_bfloat16() -> float:
    """Time a small training step in bfloat16 on this CPU, in times of the same step in float32."""
    layer, image = nn.Conv2d(32, 32, 3, padding=1), torch.zeros(1, 32, 48, 48)
    best = {}
    for _ in range(4):
        for half in (False, True):
            start = time.process_time()
            with torch.autocast("cpu", torch.bfloat16, enabled=half):
                scores = layer(image)
            scores.float().sum().backward()
            best[half] = min(best.get(half, float("inf")), time.process_time() - start)
    return best[True] / max(best[False], 1e-6)
