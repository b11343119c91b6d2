"""A validation that a kill interrupted is done when the run goes on."""

from __future__ import annotations

import json
from pathlib import Path

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import EpochBasedTrainLoop, IterBasedTrainLoop, Runner

from mmstreet.engine.processes import decide_on_main
from mmstreet.files.atomic import write_json
from mmstreet.registry import HOOKS

NAME = "last_validation.json"
"""The file in a work directory that says after how many epochs and iterations the newest validation ended."""


@HOOKS.register_module()
class MissedValidationHook(Hook):
    """Validate first when the run that is resumed was stopped between a checkpoint and the end of its validation.

    mmengine writes ``epoch_N.pth``, validates, and only then notes scores and the best checkpoint; resumed in between, it goes on with
    the next epoch, so that the scores of N, and a best checkpoint that N may be, never exist. With this hook all scores and the best
    checkpoint equal those of a run without a stop. A checkpoint that is resumed in another folder is validated there too.
    """

    # After the checkpoint hook, which saves the best.
    priority = "LOWEST"

    def __init__(self) -> None:
        self._training = False
        self._inside_epoch = False

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note whether the checkpoint was written inside an epoch."""
        self._inside_epoch = checkpoint.get("mmstreet_replay", {}).get("batches_done", 0) > 0

    def before_train(self, runner: Runner) -> None:
        """Do the missed validation of the checkpoint that was resumed."""
        self._training = True
        missed = _is_due(runner, inside_epoch=self._inside_epoch) and decide_on_main(lambda: _read(runner) != _place(runner))
        if not runner.iter and is_main_process():  # what an earlier run in this folder validated
            (Path(runner.work_dir) / NAME).unlink(missing_ok=True)
        if not missed:
            return
        runner.logger.info(f"validation after epoch {runner.epoch}, iteration {runner.iter} was not finished: it is done first")
        hub = runner.message_hub
        before = {key: hub.get_info(key) for key in ("epoch", "iter")}
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        # What components read as the current epoch and iteration are the last ones until the next begin.
        hub.update_info_dict({"epoch": runner.epoch - by_epoch, "iter": runner.iter - 1})
        runner.val_loop.run()
        hub.update_info_dict(before)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None) -> None:
        """Note that this validation has ended."""
        if self._training and is_main_process():
            write_json(_place(runner), Path(runner.work_dir) / NAME)

    def after_train(self, runner: Runner) -> None:
        """Validations from now on belong to no training."""
        self._training = False


def _is_due(runner: Runner, *, inside_epoch: bool) -> bool:
    """Whether the loop validates at the place that training has reached."""
    loop = runner.train_loop
    if runner.val_loop is None or not runner.iter:
        return False
    if isinstance(loop, EpochBasedTrainLoop) and not inside_epoch:
        done, last = runner.epoch, runner.max_epochs
    elif isinstance(loop, IterBasedTrainLoop):
        done, last = runner.iter, runner.max_iters
    else:
        return False
    loop._decide_current_val_interval()
    return done >= loop.val_begin and (done % loop.val_interval == 0 or done == last)


def _place(runner: Runner) -> dict[str, int]:
    return {"epoch": runner.epoch, "iter": runner.iter}


def _read(runner: Runner) -> object:
    try:
        return json.loads((Path(runner.work_dir) / NAME).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
