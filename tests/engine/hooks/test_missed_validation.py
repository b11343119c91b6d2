"""A validation that a kill interrupted is done later, and every score is that of a run without a stop."""

import json
from pathlib import Path

import pytest
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from mmstreet.engine.checkpoints import latest_checkpoint
from mmstreet.engine.safe_load import read_checkpoint
from tests.helpers.tiny_runs import tiny_config


class PowerCut(BaseException):
    """Ends a run where a kill would: nothing handles it."""


@HOOKS.register_module(force=True)
class CutValidation(Hook):
    """Cut the validation after so many iterations of training."""

    def __init__(self, iterations):
        self.iterations = iterations

    def after_val_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        if runner.iter == self.iterations:
            raise PowerCut


def train(work_dir, *, cut_at=None, resume=False, metric="Agreement", score="accuracy", **settings):
    hook = dict(type="mmstreet.AtomicCheckpointHook", interval=4, by_epoch=False, save_best=score, rule="greater", max_keep_ckpts=1)
    if "iterations" not in settings:
        hook |= dict(interval=1, by_epoch=True)
    cfg = tiny_config(work_dir, checkpoint=hook, validate=True, metric=metric, **settings)
    cfg.custom_hooks.append(dict(type="mmstreet.MissedValidationHook"))
    if cut_at is not None:
        cfg.custom_hooks.append(dict(type="CutValidation", iterations=cut_at))
    if resume:
        cfg.resume, cfg.load_from = True, str(latest_checkpoint(work_dir))
    runner = Runner.from_cfg(cfg)
    if cut_at is None:
        runner.train()
    else:
        with pytest.raises(PowerCut):
            runner.train()


def scores(work_dir):
    """All validations in the order in which they were written, without times."""
    files = sorted(Path(work_dir).glob("*/vis_data/scalars.json"), key=lambda path: path.stat().st_mtime_ns)
    rows = [json.loads(line) for file in files for line in file.read_text().splitlines()]
    return [{key: value for key, value in row.items() if "time" not in key} for row in rows if "total" in row or "Rising/score" in row]


def best(work_dir):
    (path,) = Path(work_dir).glob("best_*.pth")
    return path.name, {name: value.tolist() for name, value in read_checkpoint(path)["state_dict"].items()}


@pytest.mark.parametrize("settings", [{}, {"iterations": 16}], ids=["by epoch", "by iteration"])
@pytest.mark.parametrize("cut_at", [8, 16], ids=["in the middle", "at the end"])
@pytest.mark.parametrize(("metric", "score"), [("Agreement", "accuracy"), ("Rising", "Rising/score")])
def test_scores_and_best_checkpoint_equal_those_of_a_run_without_a_stop(tmp_path, settings, cut_at, metric, score):
    if metric == "Rising" and settings:
        pytest.skip("it counts epochs")
    whole, parts = tmp_path / "whole", tmp_path / "parts"
    train(whole, metric=metric, score=score, **settings)
    train(parts, cut_at=cut_at, metric=metric, score=score, **settings)
    assert len(scores(parts)) == cut_at // 4 - 1
    train(parts, resume=True, metric=metric, score=score, **settings)
    assert scores(parts) == scores(whole)
    assert len(scores(whole)) == 4
    assert best(parts) == best(whole)
    train(parts, resume=True, metric=metric, score=score, **settings)
    assert len(scores(parts)) == 4, "a run that has ended is not validated again"


def test_a_checkpoint_in_another_folder_is_validated_there(tmp_path):
    train(tmp_path / "a", epochs=1)
    cfg = tiny_config(tmp_path / "b", epochs=1, validate=True)
    cfg.custom_hooks.append(dict(type="mmstreet.MissedValidationHook"))
    cfg.resume, cfg.load_from = True, str(tmp_path / "a/epoch_1.pth")
    Runner.from_cfg(cfg).train()
    assert scores(tmp_path / "b") == scores(tmp_path / "a")


def test_a_new_run_in_an_old_folder_forgets_what_the_old_one_validated(tmp_path):
    train(tmp_path, epochs=1)
    assert json.loads((tmp_path / "last_validation.json").read_text()) == {"epoch": 1, "iter": 4}
    train(tmp_path, epochs=1, cut_at=4)
    train(tmp_path, epochs=1, resume=True)
    first, second = scores(tmp_path)
    assert first == second
