"""Logs hold the same numbers whether losses and norms are read at once or a step late, and no iteration waits to know them."""

import json

import pytest
import torch
from mmengine.hooks import RuntimeInfoHook
from mmengine.optim import OptimWrapper
from torch import nn

from benchmarks.host_waits import as_on_device, cpu_waits
from mmstreet.engine.hooks.late_logs import LateInfoHook, LateNorm, log_losses_late, log_norms_late
from mmstreet.engine.launch import build_runner
from tests.helpers.tiny_runs import tiny_config


def train(work_dir, *, late, interval=3, **settings):
    """Train 8 iterations as if on a device; return the runner, the lines of its log, and the scalars in the last checkpoint."""
    cfg = tiny_config(work_dir, epochs=2, **settings)
    cfg.default_hooks.logger = dict(type="LoggerHook", interval=interval)
    runner = build_runner(cfg)
    if late:
        log_losses_late(runner)
    with as_on_device():
        runner.train()
    lines = [json.loads(line) for line in next(work_dir.glob("*/vis_data/*.json")).read_text().splitlines()]
    losses = [{name: value for name, value in line.items() if "time" not in name} for line in lines]
    checkpoint = torch.load(max(work_dir.glob("*_*.pth")), weights_only=False)
    return runner, losses, checkpoint["message_hub"]["log_scalars"]


def info_hook(runner):
    (hook,) = [hook for hook in runner.hooks if isinstance(hook, RuntimeInfoHook)]
    return hook


def histories(scalars):
    return {name: buffer.data[0].tolist() for name, buffer in scalars.items() if "time" not in name}


@pytest.mark.parametrize("interval", [1, 3, 100])
def test_logs_and_checkpoints_are_those_of_mmengines_own_hook(tmp_path, interval):
    found = [train(tmp_path / str(late), late=late, interval=interval) for late in (False, True)]
    assert [type(info_hook(run)) for run, _, _ in found] == [RuntimeInfoHook, LateInfoHook]
    (plain, plain_log, plain_saved), (late, late_log, late_saved) = found
    assert late_log == plain_log
    assert len(late_log) >= 2
    assert all("loss" in line for line in late_log)
    assert histories(late_saved) == histories(plain_saved)
    assert histories(late.message_hub.log_scalars) == histories(plain.message_hub.log_scalars)
    assert len(histories(late_saved)["train/loss"]) == 8


def test_between_the_lines_of_the_log_no_iteration_reads_a_loss(tmp_path, monkeypatch):
    cfg = tiny_config(tmp_path)
    cfg.default_hooks.logger = dict(type="LoggerHook", interval=3)
    runner = build_runner(cfg)
    log_losses_late(runner)
    hook, told = info_hook(runner), []
    monkeypatch.setattr(runner.message_hub, "update_scalar", lambda name, value: told.append((name, value)))
    losses = [{"loss": torch.tensor(float(i)), "loss_ce": torch.tensor(i + 0.5)} for i in range(3)]
    with as_on_device(), cpu_waits([value for step in losses for value in step.values()]) as waits:
        hook.after_train_iter(runner, 0, None, losses[0])
        assert told == []
        hook.after_train_iter(runner, 1, None, losses[1])
    assert told == [("train/loss", 0.0), ("train/loss_ce", 0.5)]
    assert not waits
    with as_on_device():
        hook.after_train_iter(runner, 2, None, losses[2])  # the logger writes after three
    assert told[2:] == [("train/loss", 1.0), ("train/loss_ce", 1.5), ("train/loss", 2.0), ("train/loss_ce", 2.5)]


def test_a_checkpoint_between_two_lines_holds_the_last_loss(tmp_path):
    settings = dict(iterations=8, checkpoint=dict(type="CheckpointHook", interval=6, by_epoch=False, save_last=False))
    found = [train(tmp_path / str(late), late=late, interval=100, **settings)[2] for late in (False, True)]
    assert histories(found[1]) == histories(found[0])
    assert len(histories(found[1])["train/loss"]) == 6


def test_a_hook_of_another_class_stays():
    class Own(RuntimeInfoHook):
        pass

    hooks = [Own()]
    log_losses_late(type("Runner", (), {"_hooks": hooks}))
    assert type(hooks[0]) is Own


def test_the_norm_of_gradients_is_told_a_step_late():
    told, weight = [], nn.Parameter(torch.zeros(2))
    clip = LateNorm(nn.utils.clip_grad_norm_, told.append)
    for gradient in ([3.0, 4.0], [0.3, 0.4], [6.0, 8.0]):
        weight.grad = torch.tensor(gradient)
        assert clip([weight], max_norm=1.0) is None
    assert told == pytest.approx([5.0, 0.5])
    torch.testing.assert_close(weight.grad, torch.tensor([0.6, 0.8]))


def test_what_gives_no_norm_tells_none():
    told, weight = [], nn.Parameter(torch.zeros(2))
    clip = LateNorm(nn.utils.clip_grad_value_, told.append)
    for _ in range(2):
        weight.grad = torch.tensor([3.0, -4.0])
        clip([weight], clip_value=1.0)
    assert told == []
    assert weight.grad.tolist() == [1.0, -1.0]


def test_mmengine_logs_it_and_reads_nothing():
    weight = nn.Parameter(torch.tensor([1.0]))
    wrapper = OptimWrapper(torch.optim.SGD([weight], lr=0.1), clip_grad=dict(max_norm=1.0))
    for _ in range(2):  # a runner that trains and then tests calls the hook twice
        log_norms_late(wrapper)
    assert wrapper.clip_func.clip is nn.utils.clip_grad_norm_
    for scale in (2.0, 3.0, 4.0):
        wrapper.update_params((scale * weight).sum())
    log = wrapper.message_hub.get_scalar("train/grad_norm")
    assert log.data[0][-2:].tolist() == [2.0, 3.0]
    assert weight.item() == pytest.approx(0.7)


def test_without_clipping_nothing_changes():
    wrapper = OptimWrapper(torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=0.1))
    for part in (wrapper, None, {"optimizer": {}}):
        log_norms_late(part)
    assert not hasattr(wrapper, "clip_func")
