"""How a run uses its device: copies that nobody waits for, TF32, the layout of maps, compilation."""

from __future__ import annotations

import os
import shutil
from collections import defaultdict

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmstreet.engine.errors import LaunchError
from mmstreet.engine.hooks.late_logs import log_losses_late, log_norms_late
from mmstreet.registry import HOOKS

MOST_SIZES = 8
"""Sizes of images in one loop that are worth timing cuDNN's algorithms for."""


@HOOKS.register_module()
class DeviceHook(Hook):
    """Set up the device of a run before its first batch.

    On a GPU, batches of pinned memory are copied beside the work of the batch before, and matrix products of float32 use TF32, as cuDNN's
    convolutions do by default; ``mmstreet train`` and ``mmstreet test`` pin the memory. The losses of this package do not compute in TF32.
    Losses and the norm of the gradients are read a step late, so that no step waits for them; see
    :mod:`~mmstreet.engine.hooks.late_logs`.

    With ``cudnn_benchmark`` cuDNN times its algorithms anew for each size of image, which takes seconds. Where training, validation or test
    have met images of more than :data:`MOST_SIZES` sizes, it no longer does so there.

    Args:
        tf32: Whether matrix products on a GPU may round their factors to 10 bits.
        channels_last: Lay out the weights of convolutions, and so the maps, with their channels last: often faster, above all in mixed
            precision. Results differ by rounding.
        compiled: Compile the backbone and the neck with ``torch.compile``; the first steps take a minute or more. Names in checkpoints
            stay as they are.
    """

    def __init__(self, *, tf32: bool = True, channels_last: bool = False, compiled: bool = False) -> None:
        self.tf32, self.channels_last, self.compiled = tf32, channels_last, compiled
        self._sizes: dict[str, set[tuple[int, ...]]] = defaultdict(set)
        self._times_algorithms: bool | None = None

    def before_run(self, runner: Runner) -> None:
        """Set up model and device.

        Raises:
            LaunchError: If the model is to be compiled and there is no compiler.
        """
        if self._times_algorithms is None:  # a runner that trains and then tests comes here twice
            self._times_algorithms = torch.backends.cudnn.benchmark
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        device = next(model.parameters(), torch.empty(0)).device
        if device.type == "cuda":
            torch.backends.cuda.matmul.allow_tf32 = self.tf32
            if hasattr(getattr(model, "data_preprocessor", None), "_non_blocking"):
                model.data_preprocessor._non_blocking = True
            log_losses_late(runner)
            log_norms_late(getattr(runner, "optim_wrapper", None))
        if self.channels_last:
            model.to(memory_format=torch.channels_last)
        if self.compiled:
            check_compiler(device)
            for part in (getattr(model, "backbone", None), getattr(model, "neck", None)):
                if part is not None:
                    part.compile()

    def _before_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, mode: str = "train") -> None:
        """Note the sizes of the images, before any iteration of any loop."""
        inputs = data_batch.get("inputs") if isinstance(data_batch, dict) else None
        self._sizes[mode].update(tuple(image.shape[-2:]) for image in (inputs if inputs is not None else ()))
        torch.backends.cudnn.benchmark = bool(self._times_algorithms) and len(self._sizes[mode]) <= MOST_SIZES


def check_compiler(device: torch.device) -> None:
    """Refuse to compile for a device without its compiler.

    Raises:
        LaunchError: If there is none; it says what to install.
    """
    if device.type == "cpu":
        compiler = os.environ.get("CXX", "g++")
        if shutil.which(compiler) is None and shutil.which("clang++") is None:
            raise LaunchError(f"--compile on a CPU needs a C++ compiler, and there is no '{compiler}'; install one, or leave --compile out")
    elif device.type == "cuda":
        try:
            import triton  # noqa: F401
        except ImportError:
            raise LaunchError("--compile on a GPU needs the package triton, which torch's GPU wheels bring; leave --compile out") from None
