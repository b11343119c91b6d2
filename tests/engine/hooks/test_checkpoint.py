"""A kill at any moment leaves a complete checkpoint, and the run goes on from it unchanged."""

import os
import re
import shutil
import signal
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner, find_latest_checkpoint

from mmstreet.engine import checkpoints
from mmstreet.engine.checkpoints import is_complete, latest_checkpoint
from mmstreet.engine.errors import LaunchError
from mmstreet.engine.safe_load import read_checkpoint
from tests.helpers.killed_run import half_written
from tests.helpers.tiny_runs import tiny_config

ROOT = Path(__file__).parents[3]
KEEP_ONE = dict(type="mmstreet.AtomicCheckpointHook", interval=1, max_keep_ckpts=1)


class PowerCut(BaseException):
    """Ends a run where a kill would: nothing handles it."""


def names(folder):
    return sorted(p.name for p in Path(folder).glob("*.pth")) + sorted(p.name for p in Path(folder).glob(".*"))


def train(work_dir, *, resume=False, **settings):
    cfg = tiny_config(work_dir, **{"checkpoint": dict(KEEP_ONE), **settings})
    if resume:
        cfg.resume, cfg.load_from = True, str(latest_checkpoint(work_dir))
    Runner.from_cfg(cfg).train()


def assert_same_weights(a, b):
    a, b = read_checkpoint(a), read_checkpoint(b)
    for part in (a["state_dict"], {str(k): v for k, v in a["optimizer"]["state"].items()}):
        other = b["state_dict"] if part is a["state_dict"] else {str(k): v for k, v in b["optimizer"]["state"].items()}
        assert part.keys() == other.keys()
        for name, value in part.items():
            for x, y in [(value, other[name])] if torch.is_tensor(value) else [(value[k], other[name][k]) for k in value]:
                assert torch.equal(x, y), name


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("whole")
    train(folder)
    return folder / "epoch_4.pth"


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="SIGKILL is POSIX")
def test_sigkill_inside_a_checkpoints_write_costs_nothing_that_was_saved(tmp_path, uninterrupted):
    with half_written(tmp_path, "epoch_3.pth") as run:
        run.kill()
        run.join()
        assert run.exitcode == -signal.SIGKILL
    whole, partial = names(tmp_path)
    assert whole == "epoch_2.pth"
    assert re.fullmatch(r"\.epoch_3\.pth\..*\.partial", partial)
    assert not is_complete(tmp_path / partial)
    assert find_latest_checkpoint(str(tmp_path)) == str(latest_checkpoint(tmp_path)) == str(tmp_path / "epoch_2.pth")
    train(tmp_path, resume=True)
    assert names(tmp_path) == ["epoch_4.pth"]
    assert_same_weights(tmp_path / "epoch_4.pth", uninterrupted)


@pytest.mark.parametrize(
    ("cut_before", "left", "goes_on_from"),
    [
        ("naming epoch_2.pth", ["epoch_1.pth"], "epoch_1.pth"),
        ("naming last_checkpoint", ["epoch_1.pth", "epoch_2.pth"], "epoch_2.pth"),
        ("removing epoch_1.pth", ["epoch_1.pth", "epoch_2.pth"], "epoch_2.pth"),
    ],
)
def test_a_power_cut_at_any_step_leaves_one_to_go_on_from(tmp_path, monkeypatch, uninterrupted, cut_before, left, goes_on_from):
    replace, remove = os.replace, checkpoints.AtomicLocalBackend.remove

    def cut(step, path):
        if (tmp_path / "last_checkpoint").exists() and cut_before == f"{step} {Path(path).name}":  # exists: in the second epoch
            raise PowerCut

    monkeypatch.setattr(os, "replace", lambda a, b: (cut("naming", b), replace(a, b)))
    monkeypatch.setattr(checkpoints.AtomicLocalBackend, "remove", lambda self, path: (cut("removing", path), remove(self, path)))
    with pytest.raises(PowerCut):
        train(tmp_path)
    monkeypatch.undo()
    assert names(tmp_path) == left
    assert latest_checkpoint(tmp_path).name == goes_on_from
    assert is_complete(find_latest_checkpoint(str(tmp_path)))  # what mmengine's own resume takes
    train(tmp_path, resume=True)
    assert [name for name in names(tmp_path) if name.startswith(".")] == []
    assert_same_weights(tmp_path / "epoch_4.pth", uninterrupted)


@pytest.mark.parametrize("keep", [1, 2])
def test_only_the_newest_are_kept(tmp_path, keep):
    train(tmp_path, checkpoint=dict(KEEP_ONE, max_keep_ckpts=keep))
    assert names(tmp_path) == [f"epoch_{n}.pth" for n in range(5 - keep, 5)]
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / "epoch_4.pth")


def test_the_older_best_checkpoint_stays_until_the_better_one_is_whole(tmp_path, monkeypatch):
    steps = []
    put, remove = checkpoints.AtomicLocalBackend.put, checkpoints.AtomicLocalBackend.remove
    monkeypatch.setattr(
        checkpoints.AtomicLocalBackend, "put", lambda self, data, path: (put(self, data, path), steps.append(("put", Path(path).name)))[0]
    )
    monkeypatch.setattr(
        checkpoints.AtomicLocalBackend, "remove", lambda self, path: (remove(self, path), steps.append(("remove", Path(path).name)))[0]
    )
    train(tmp_path, checkpoint=dict(KEEP_ONE, save_best="Rising/score", rule="greater"), epochs=3, validate=True, metric="Rising")
    best = [(step, name) for step, name in steps if name.startswith("best")]
    expected = [("put", 1), ("put", 2), ("remove", 1), ("put", 3), ("remove", 2)]
    assert best == [(step, f"best_Rising_score_epoch_{n}.pth") for step, n in expected]
    assert names(tmp_path) == ["best_Rising_score_epoch_3.pth", "epoch_3.pth"]


def test_a_resumed_run_still_removes_the_best_that_it_replaces(tmp_path):
    settings = dict(checkpoint=dict(KEEP_ONE, save_best="Rising/score", rule="greater"), validate=True, metric="Rising")
    train(tmp_path, epochs=2, **settings)
    train(tmp_path, epochs=3, resume=True, **settings)
    assert names(tmp_path) == ["best_Rising_score_epoch_3.pth", "epoch_3.pth"]


def test_validation_without_training_saves_nothing(tmp_path):
    settings = dict(checkpoint=dict(KEEP_ONE, save_best="Rising/score", rule="greater"), validate=True)
    train(tmp_path / "trained", epochs=1)
    cfg = tiny_config(tmp_path / "scored", **settings)
    cfg.load_from = str(tmp_path / "trained/epoch_1.pth")
    assert Runner.from_cfg(cfg).val()["count"] == 11
    assert names(tmp_path / "scored") == []


BEST = dict(checkpoint=dict(KEEP_ONE, save_best="Rising/score", rule="greater"), validate=True, metric="Rising")


@pytest.mark.parametrize("copied", [True, False], ids=["copied into the new folder", "resumed by path"])
def test_another_runs_best_checkpoint_is_left_alone(tmp_path, copied):
    a, b = tmp_path / "a", tmp_path / "b"
    train(a, epochs=1, **BEST)
    theirs = {path.name: path.read_bytes() for path in a.glob("*.pth")}
    assert set(theirs) == {"best_Rising_score_epoch_1.pth", "epoch_1.pth"}
    b.mkdir()
    cfg = tiny_config(b, epochs=3, **BEST)
    cfg.resume, cfg.load_from = True, str(shutil.copy(a / "epoch_1.pth", b) if copied else a / "epoch_1.pth")
    Runner.from_cfg(cfg).train()
    assert {path.name: path.read_bytes() for path in a.glob("*.pth")} == theirs
    assert "best_Rising_score_epoch_3.pth" in names(b)


def test_a_moved_run_still_replaces_its_best(tmp_path):
    train(tmp_path / "a", epochs=1, **BEST)
    moved = (tmp_path / "a").rename(tmp_path / "moved")
    train(moved, epochs=2, resume=True, **BEST)
    assert names(moved) == ["best_Rising_score_epoch_2.pth", "epoch_2.pth"]
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("cut_before", ["epoch_1.pth", "best_Rising_score_epoch_1.pth"])
def test_a_checkpoint_that_a_kill_kept_from_being_deleted_goes_with_the_next_start(tmp_path, monkeypatch, cut_before):
    remove = checkpoints.AtomicLocalBackend.remove

    def cut(self, path):
        if Path(path).name == cut_before:
            raise PowerCut
        remove(self, path)

    monkeypatch.setattr(checkpoints.AtomicLocalBackend, "remove", cut)
    with pytest.raises(PowerCut):
        train(tmp_path, **BEST)
    monkeypatch.undo()
    assert cut_before in names(tmp_path)
    (tmp_path / "epoch_77.pth").write_bytes(b"the user's own")
    train(tmp_path, resume=True, **BEST)
    assert names(tmp_path) == ["best_Rising_score_epoch_4.pth", "epoch_4.pth", "epoch_77.pth"]


def test_a_second_training_in_the_same_folder_is_refused_with_the_first_ones_process(tmp_path):
    with (
        half_written(tmp_path, "epoch_2.pth") as run,
        pytest.raises(LaunchError, match=rf"another training runs in '.*': process {run.pid} on \S+, started 20\d\d-"),
    ):
        train(tmp_path, resume=True)
    train(tmp_path, resume=True)  # the lock went with its process, whatever the file says
    assert names(tmp_path) == ["epoch_4.pth"]
    assert not (tmp_path / "running.json").exists()


def test_a_claim_is_not_written_through_a_link(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    (tmp_path / "run").mkdir()
    (tmp_path / "run/running.json").symlink_to(tmp_path / "mine.txt")
    with pytest.raises(OSError, match="symbolic link"):
        train(tmp_path / "run")
    assert (tmp_path / "mine.txt").read_text() == "mine"
