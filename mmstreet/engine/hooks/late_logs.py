"""Losses and norms of gradients for mmengine's logs, without a wait for the GPU in each iteration: they are told a step late."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from mmengine.hooks import LoggerHook, RuntimeInfoHook
from mmengine.runner import Runner
from torch import Tensor

from mmstreet.readback import Numbers, Readback


class LateInfoHook(RuntimeInfoHook):
    """As mmengine's hook, which reads every loss of every iteration from the device and so waits for each backward pass.

    Losses that a GPU computes are told to the message hub in the next iteration, and at once where a ``LoggerHook`` writes them, before a
    checkpoint and at the end. So logs and checkpoints hold what they do without it; on a CPU nothing is late.
    """

    def __init__(self) -> None:
        super().__init__()
        self._waiting: Numbers | None = None

    def after_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: dict | None = None) -> None:
        """Tell the losses of the iteration before, and ask for those of this one."""
        self._tell(runner)
        if outputs is not None:
            self._waiting = Numbers(outputs)
            if self._waiting.on_host or _is_logged(runner, batch_idx):
                self._tell(runner)

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Let the checkpoint hold the losses of the last iteration too."""
        if self._tell(runner):
            checkpoint["message_hub"] = runner.message_hub.state_dict()

    def after_train(self, runner: Runner) -> None:
        """Tell the losses of the last iteration."""
        self._tell(runner)
        super().after_train(runner)

    def _tell(self, runner: Runner) -> bool:
        waiting, self._waiting = self._waiting, None
        for name, value in waiting.read().items() if waiting else ():
            runner.message_hub.update_scalar(f"train/{name}", value)
        return waiting is not None


def log_losses_late(runner: Runner) -> None:
    """Put a :class:`LateInfoHook` into the place of mmengine's own ``RuntimeInfoHook``; one of another class stays."""
    hooks = getattr(runner, "_hooks", [])
    for i, hook in enumerate(hooks):
        if type(hook) is RuntimeInfoHook:
            hooks[i] = LateInfoHook()
            vars(hooks[i]).update(vars(hook))


def _is_logged(runner: Runner, batch_idx: int) -> bool:
    loggers = [hook for hook in runner.hooks if isinstance(hook, LoggerHook)]
    ends = any(hook.end_of_epoch(runner.train_dataloader, batch_idx) for hook in loggers)
    return ends or any(hook.every_n_inner_iters(batch_idx, hook.interval) for hook in loggers)


def log_norms_late(wrapper: object) -> None:
    """Let an ``OptimWrapper`` that clips gradients log their norm a step late; anything else, or one that does so, stays as it is."""
    clip = getattr(wrapper, "clip_func", None)
    if clip is not None and not isinstance(clip, LateNorm):
        wrapper.clip_func = LateNorm(clip, lambda norm: wrapper.message_hub.update_scalar("train/grad_norm", norm))


class LateNorm:
    """Clips gradients, and tells their norm when the next are clipped: mmengine waits for the backward pass to log it.

    Args:
        clip: Clips the gradients of some parameters and returns their norm, or ``None``.
        tell: Takes the norm of the step before.
    """

    def __init__(self, clip: Callable[..., Tensor | None], tell: Callable[[float], object]) -> None:
        self.clip, self.tell = clip, tell
        self._waiting: Readback | None = None

    def __call__(self, params: Sequence[Tensor], **settings: object) -> None:
        """Clip; what is returned is nothing, so mmengine reads nothing."""
        if self._waiting is not None:
            self.tell(float(self._waiting.read()))
        norm = self.clip(params, **settings)
        self._waiting = None if norm is None else Readback(norm)
