"""What a run does with its device before the first batch."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from mmengine.optim import OptimWrapper
from torch import nn

from mmstreet.engine.errors import LaunchError
from mmstreet.engine.hooks.device import DeviceHook, LateNorm, log_norms_late
from mmstreet.engine.launch import build_runner
from tests.helpers.tiny_runs import tiny_config


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.backbone = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 8, 3))

    def forward(self, x):
        return self.backbone(x)


def test_channels_last_changes_the_layout_and_not_the_result():
    torch.manual_seed(0)
    model, image = Model(), torch.randn(2, 3, 9, 11)
    before = model(image)
    DeviceHook(channels_last=True).before_run(SimpleNamespace(model=model))
    after = model(image)
    assert after.is_contiguous(memory_format=torch.channels_last)
    torch.testing.assert_close(after, before)


def test_a_compiled_backbone_keeps_its_names(monkeypatch):
    model, names, called = Model(), list(Model().state_dict()), []
    monkeypatch.setattr(nn.Sequential, "compile", lambda self: called.append(self))
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}")
    DeviceHook(compiled=True).before_run(SimpleNamespace(model=model))
    assert called == [model.backbone]
    assert list(model.state_dict()) == names


def test_without_a_compiler_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr(shutil, "which", lambda name: None)
    monkeypatch.setenv("CXX", "my-c++")
    with pytest.raises(LaunchError, match="needs a C\\+\\+ compiler, and there is no 'my-c\\+\\+'; install one, or leave --compile out"):
        DeviceHook(compiled=True).before_run(SimpleNamespace(model=Model()))


def test_every_run_has_the_hook(tmp_path):
    runner = build_runner(tiny_config(tmp_path))
    assert [hook for hook in runner.hooks if isinstance(hook, DeviceHook)]


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
