"""Stops training at the first loss or weight that is not a finite number."""

from __future__ import annotations

import math

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmstreet.engine.checkpoints import latest_checkpoint
from mmstreet.engine.errors import NonFiniteError
from mmstreet.readback import Numbers, Watch
from mmstreet.registry import HOOKS


@HOOKS.register_module()
class FiniteLossHook(Hook):
    """Stop training when a loss is infinite or not a number, and never save such weights.

    The message names the loss, the iteration, the image files of the batch and the last good checkpoint. A finite loss can still leave
    broken weights behind (its gradient overflowed); so weights are looked through before each checkpoint, and a broken one is not
    written. The checkpoint before it stays.

    On a GPU the losses of an iteration are read in the next one, and before a checkpoint and at the end, so that no iteration waits. The
    label checks of this package's losses are read then too.

    Args:
        interval: Look at the loss every so many iterations.
    """

    # Before the hooks that log and save.
    priority = "HIGH"

    def __init__(self, *, interval: int = 1) -> None:
        if interval < 1:
            raise ValueError(f"interval must be at least 1 iteration, not {interval}")
        self.interval = interval
        self._waiting: tuple[Numbers, str] | None = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: dict | None = None) -> None:
        """Look at the losses of this iteration, on a GPU at those of the one before."""
        if not self.every_n_train_iters(runner, self.interval) or not outputs:
            return
        self._read(runner)
        losses = {name: value for name, value in outputs.items() if "loss" in name}
        if losses:
            place = f"in iteration {runner.iter + 1} (epoch {runner.epoch + 1}) on {_files(data_batch)}"
            self._waiting = Numbers(losses), place
            if self._waiting[0].on_host:
                self._read(runner)

    def after_train(self, runner: Runner) -> None:
        """Look at the losses of the last iteration."""
        self._read(runner)
        read_watches(runner.model)

    def _read(self, runner: Runner) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        values, place = waiting
        broken = {name: value for name, value in values.read().items() if not math.isfinite(value)}
        if broken:
            # The sum is broken whenever a part is; the part says more.
            name = min(broken, key=lambda name: name == "loss")
            raise NonFiniteError(
                f"loss '{name}' is {broken[name]} {place}; "
                f"{_last_good(runner)}; lower the learning rate, clip the gradient, or look at these files"
            )

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Refuse to save weights that are not finite, or that come from a broken loss or wrong labels."""
        self._read(runner)
        read_watches(runner.model)
        for name, value in checkpoint["state_dict"].items():
            if torch.is_tensor(value) and value.is_floating_point() and not torch.isfinite(value).all():
                raise NonFiniteError(
                    f"weight '{name}' is not finite after {checkpoint['meta']['iter']} iterations, so no checkpoint is written; "
                    f"{_last_good(runner)}; lower the learning rate or clip the gradient"
                )


def read_watches(model: torch.nn.Module) -> None:
    """Raise what the label checks of a model's losses and heads still have to say."""
    for module in model.modules():
        if isinstance(getattr(module, "watch", None), Watch):
            module.watch.read()


def _files(data_batch: object) -> str:
    samples = data_batch.get("data_samples", ()) if isinstance(data_batch, dict) else ()
    paths = [str(sample.img_path) for sample in samples or () if "img_path" in sample]
    return ", ".join(paths) if paths else "a batch without file names"


def _last_good(runner: Runner) -> str:
    path = latest_checkpoint(runner.work_dir)
    return f"the last good checkpoint is '{path}'" if path else "there is no checkpoint yet"
