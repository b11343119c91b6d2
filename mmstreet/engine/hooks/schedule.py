"""A schedule that follows the length of the run, and a warning when nothing is learnt."""

from __future__ import annotations

import copy
import warnings

import torch
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper, OptimWrapperDict, _ParamScheduler
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import EpochBasedTrainLoop, Runner

from mmstreet.engine.errors import LaunchError
from mmstreet.registry import HOOKS

_RECORD = "mmstreet_schedule"
_PROGRESS = ("last_step", "_global_step", "_last_value", "base_values", "verbose")
EXTENSIONS = ("stretch", "restart")


@HOOKS.register_module()
class ScheduleHook(Hook):
    """Let a resumed run that is longer than before learn to its end, and warn when a learning rate is 0.

    mmengine restores a schedule with the end that it was saved with: after 5 epochs of 5, four more have the learning rate of the end,
    often 0. Here the schedule follows the config, and the log says so. A schedule that the config does not change keeps every bit.

    The very last iteration of a polynomial that falls to 0 has the rate 0 by construction; that one iteration is not warned about.

    Args:
        extension: ``'stretch'`` goes on along the curve of the longer schedule, where a run of that length would be now. ``'restart'``
            starts the schedule again for what is left, from the first learning rate.

    Raises:
        LaunchError: If the checkpoint was trained for longer than this run is to be.
    """

    def __init__(self, *, extension: str = "stretch") -> None:
        if extension not in EXTENSIONS:
            raise ValueError(f"extension must be one of {', '.join(EXTENSIONS)}, not '{extension}'")
        self.extension = extension
        self._start = {"start_epoch": 0, "start_iter": 0}
        self._before: dict[str, int] = {}
        self._idle = 0
        self._warned = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note how long the run of a checkpoint was to be, and where its schedule began."""
        if runner._resume:
            info = checkpoint["message_hub"]["runtime_info"]
            self._before = {key: info[key] for key in ("max_epochs", "max_iters") if isinstance(info.get(key), int)}
            self._start |= checkpoint.get(_RECORD, {})

    def before_train(self, runner: Runner) -> None:
        """Fit the schedule of a resumed run to its length."""
        self._idle, self._warned = 0, False
        if not runner.iter:
            return
        unit, done, length, before = _progress(runner, self._before)
        if done > length:
            raise LaunchError(
                f"the checkpoint was trained for {done} {unit}, but this run has {length}; give --{unit} N with N above {done}, "
                "or test the checkpoint instead"
            )
        specs = runner.cfg.get("param_scheduler")
        restart = self.extension == "restart" and before is not None and before != length
        if restart:
            self._start = {"start_epoch": runner.epoch, "start_iter": runner.iter}
        elif self.extension == "restart":
            runner.logger.warning(f"this run has {length} {unit} as before, so its schedule is not restarted")
        if not specs or not runner.param_schedulers or done == length:
            return
        changed = False
        for wrapper, own, schedulers in _by_optimizer(runner, specs):
            changed |= self._fit(runner, wrapper, own, schedulers, restart)
        if changed:
            rate = ", ".join(f"{name} {rates[0]:.4g}" for name, rates in runner.optim_wrapper.get_lr().items())
            how = f"starts again for the {length - done} {unit} left" if restart else f"goes on as that of a run of {length} {unit}"
            was = "of another schedule" if before in (None, length) else f"of {before}"
            runner.logger.warning(f"the checkpoint is of a run {was} {unit}; the schedule {how}: {rate} after {done}")

    def _fit(self, runner: Runner, wrapper: OptimWrapper, specs: list, schedulers: list[_ParamScheduler], restart: bool) -> bool:
        """Take over the state that new schedulers have after as many steps; tell whether anything differed."""
        if any(getattr(scheduler, "need_val_args", False) for scheduler in schedulers):
            return False  # it follows the scores, not the length
        epoch_length = len(runner.train_dataloader)
        stand_in = torch.optim.Optimizer([torch.zeros(1)], {})
        stand_in.param_groups = [
            {key: group.get(f"initial_{key}", value) for key, value in group.items() if key != "params"} for group in wrapper.param_groups
        ]
        fresh = [PARAM_SCHEDULERS.build(self._spec(runner, spec), default_args=_defaults(stand_in, epoch_length)) for spec in specs]
        if not restart and all(_settings(new) == _settings(old) for new, old in zip(fresh, schedulers)):
            return False
        # A run of the same epochs has other iterations when the batches are of another size.
        epoch_before = self._before.get("max_iters", 0) / max(1, self._before.get("max_epochs", 1))
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        steps = runner.iter - self._start["start_iter"]
        steps = round(steps * epoch_length / epoch_before) if by_epoch and epoch_before else steps
        stand_in._global_step = 0  # what mmengine counts to see that the optimizer steps first
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            for i in range(1, steps + 1):
                for scheduler in fresh:
                    if not scheduler.by_epoch or (by_epoch and i % epoch_length == 0):
                        scheduler.step()
        for new, old in zip(fresh, schedulers):
            old.load_state_dict(new.state_dict())
            for group, other in zip(wrapper.param_groups, stand_in.param_groups):
                group[new.param_name] = other[new.param_name]
        return True

    def _spec(self, runner: Runner, spec: dict) -> dict:
        """The config of a scheduler for the part of the run that its schedule covers."""
        spec = copy.deepcopy(dict(spec))
        by_epoch = spec.get("by_epoch", True)
        length = runner.max_epochs if by_epoch else runner.max_iters
        spec.setdefault("end", length)
        left = length - self._start["start_epoch" if by_epoch else "start_iter"]
        return spec | {key: left for key in ("end", "T_max") if spec.get(key) == length}

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: object = None) -> None:
        """Look at the learning rates of this iteration."""
        idle, groups = _idle_groups(runner.optim_wrapper)
        self._idle += bool(idle)
        if not idle:
            self._warned = False
        elif not self._warned and runner.iter + 1 < runner.max_iters:
            self._warned = True
            runner.logger.warning(
                f"the learning rate is 0 in iteration {runner.iter + 1} (epoch {runner.epoch + 1}) for {idle} of {groups} groups of "
                "weights: they learn nothing until it rises; look at param_scheduler, or resume with --epochs or --iters"
            )

    def after_train(self, runner: Runner) -> None:
        """Say how many iterations were without effect."""
        if self._idle > 1:
            runner.logger.warning(f"{self._idle} iterations of this run had a learning rate of 0")

    def before_save_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note where the schedule began."""
        checkpoint[_RECORD] = dict(self._start)


def _progress(runner: Runner, before: dict[str, int]) -> tuple[str, int, int, int | None]:
    """In the unit of the loop: its name, how far training is, how long this run is, and how long the checkpoint's was to be."""
    if isinstance(runner.train_loop, EpochBasedTrainLoop):
        return "epochs", runner.epoch, runner.max_epochs, before.get("max_epochs")
    return "iters", runner.iter, runner.max_iters, before.get("max_iters")


def _by_optimizer(runner: Runner, specs: dict | list) -> list[tuple[OptimWrapper, list, list[_ParamScheduler]]]:
    schedulers = runner.param_schedulers
    if not isinstance(runner.optim_wrapper, OptimWrapperDict):
        return [(runner.optim_wrapper, [specs] if isinstance(specs, dict) else specs, schedulers)]
    found = []
    for name, wrapper in runner.optim_wrapper.items():
        own = specs if isinstance(specs, list) or "type" in specs else specs.get(name, [])
        found.append((wrapper, [own] if isinstance(own, dict) else own, schedulers.get(name, [])))
    return found


def _defaults(optimizer: torch.optim.Optimizer, epoch_length: int) -> dict:
    return {"optimizer": optimizer, "epoch_length": epoch_length}


def _settings(scheduler: _ParamScheduler) -> dict:
    return {key: value for key, value in scheduler.state_dict().items() if key not in _PROGRESS}


def _idle_groups(wrapper: OptimWrapper | OptimWrapperDict) -> tuple[int, int]:
    """Count the groups of weights that should learn, and those of them that do not; a group made with the rate 0 is frozen on purpose."""
    optimizers = [part.optimizer for part in (wrapper.values() if isinstance(wrapper, OptimWrapperDict) else (wrapper,))]
    groups = [group for optimizer in optimizers for group in optimizer.param_groups]
    learning = [g for g in groups if g.get("initial_lr", 1) != 0 and any(weight.requires_grad for weight in g["params"])]
    return sum(float(group["lr"]) == 0 for group in learning), len(learning)
