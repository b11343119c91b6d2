"""Checks the content of a checkpoint file before it is used."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from mmengine.hooks import CheckpointHook, Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner, find_latest_checkpoint
from mmengine.runner.checkpoint import CheckpointLoader

from mmstreet.engine.checkpoint_content import RECORD, check_content, check_resumable
from mmstreet.engine.checkpoint_fit import check_fit
from mmstreet.engine.errors import LaunchError, NonFiniteError
from mmstreet.engine.safe_load import load_from_local
from mmstreet.engine.training_state import check_training_state, describe_training
from mmstreet.readback import Watch, check_later, on_host
from mmstreet.registry import HOOKS


@HOOKS.register_module()
class CheckpointGuardHook(Hook):
    """Load and resume only what is a sound checkpoint of this config, and run no code from it.

    Local checkpoint files are read as data, with their checksums checked. Weights have to be finite tensors. To resume, weights,
    optimizer and schedulers have to be those of the config. The text of a config that a checkpoint may hold in ``meta['config']`` is
    left out, because mmengine executes it as Python. Predictions of a test or validation have to be finite.

    ``mmstreet train`` and ``mmstreet test`` add this hook to every config; for other training scripts, list it in ``custom_hooks``.

    Raises:
        LaunchError: In one sentence that names the file and what is wrong with it.
        NonFiniteError: If a prediction is infinite or not a number; the message names the image.
    """

    priority = "HIGHEST"

    def __init__(self) -> None:
        self.watch = Watch()

    def before_run(self, runner: Runner) -> None:
        """Let mmengine read local checkpoints by our reader."""
        CheckpointLoader.register_scheme("", load_from_local, force=True)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Check what was read."""
        path = runner._load_from or find_latest_checkpoint(runner.work_dir)
        check_content(checkpoint, path)
        if checkpoint.get("meta", {}).pop("config", None) is not None:
            runner.logger.warning(f"'{path}' holds a config in meta['config'], which mmengine would execute as Python; it was left out")
        if not runner._resume:
            return
        check_resumable(checkpoint, path)
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        check_fit(model, checkpoint, path, whole=True)
        saves = any(isinstance(hook, CheckpointHook) and hook.save_optimizer for hook in runner.hooks)
        if saves and "optimizer" not in checkpoint:
            raise LaunchError(
                f"checkpoint '{path}' holds no state of the optimizer, as best checkpoints do not, so training cannot go on from it; "
                "resume from an epoch_*.pth or iter_*.pth, or start from its weights with load_from"
            )
        check_training_state(runner, checkpoint, path)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note which optimizer and schedulers a checkpoint belongs to."""
        checkpoint[RECORD] = describe_training(runner)

    def after_val_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: Sequence | None = None) -> None:
        """Look at the predictions of a batch."""
        with self.watch.step():
            for sample in outputs or ():
                for name in ("seg_logits", "pred_instances"):
                    prediction = getattr(sample, name, None)
                    for part, value in prediction.items() if prediction is not None else ():
                        check_finite(value, "logits" if part == "data" else part, sample)

    after_test_iter = after_val_iter

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Look at what a GPU said of the last batch."""
        self.watch.read()

    after_test_epoch = after_val_epoch


def check_finite(value: object, name: str, sample: object) -> None:
    """Refuse a prediction with values that are infinite or not a number; within a watch, a GPU's in the next step.

    Raises:
        NonFiniteError: The message names the image of ``sample``.
    """
    if not isinstance(value, torch.Tensor) or not value.is_floating_point():
        return

    def refuse() -> None:
        raise NonFiniteError(
            f"the model's {name} of '{getattr(sample, 'img_path', 'an image')}' are infinite or not a number although its weights are "
            "finite; they overflow: train with a smaller learning rate, or test without mixed precision"
        )

    # A sum takes a CPU a fraction of the time of a look at every value, but may overflow.
    if not on_host(value) or not value.sum().isfinite():
        check_later(~torch.isfinite(value).all(), refuse)
