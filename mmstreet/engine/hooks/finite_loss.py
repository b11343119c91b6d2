"""Stops training at the first loss or weight that is not a finite number."""

from __future__ import annotations

import math

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmstreet.engine.checkpoints import latest_checkpoint
from mmstreet.engine.errors import NonFiniteError
from mmstreet.registry import HOOKS


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop training when a loss is infinite or not a number, and never save such weights.

    The message names the loss, the iteration, the image files of the batch and the last good checkpoint. A finite loss can still leave
    broken weights behind (its gradient overflowed); so weights are looked through before each checkpoint, and a broken one is not
    written. The checkpoint before it stays.

    Args:
        interval: Look at the loss every so many iterations.
    """

    # Before the hooks that log and save.
    priority = "HIGH"

    def __init__(self, *, interval: int = 1) -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1 iteration, not {interval}")
        self.interval = interval

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: dict | None = None) -> None:
        """Look at the losses of this iteration."""
        if not self.every_n_train_iters(runner, self.interval) or not outputs:
            return
        values = {name: torch.as_tensor(value).item() for name, value in outputs.items() if "loss" in name}
        broken = {name: value for name, value in values.items() if not math.isfinite(value)}
        if broken:
            # The sum is broken whenever a part is; the part says more.
            name = min(broken, key=lambda name: name == "loss")
            raise NonFiniteError(
                f"loss '{name}' is {broken[name]} in iteration {runner.iter + 1} (epoch {runner.epoch + 1}) on {_files(data_batch)}; "
                f"{_last_good(runner)}; lower the learning rate, clip the gradient, or look at these files"
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to save weights that are not finite."""
        for name, value in checkpoint["state_dict"].items():
            if torch.is_tensor(value) and value.is_floating_point() and not torch.isfinite(value).all():
                raise NonFiniteError(
                    f"weight '{name}' is not finite after {checkpoint['meta']['iter']} iterations, so no checkpoint is written; "
                    f"{_last_good(runner)}; lower the learning rate or clip the gradient"
                )


def _files(data_batch: object) -> str:
    samples = data_batch.get("data_samples", ()) if isinstance(data_batch, dict) else ()
    paths = [str(sample.img_path) for sample in samples or () if "img_path" in sample]
    return ", ".join(paths) if paths else "a batch without file names"


def _last_good(runner: Runner) -> str:
    path = latest_checkpoint(runner.work_dir)
    return f"the last good checkpoint is '{path}'" if path else "there is no checkpoint yet"
