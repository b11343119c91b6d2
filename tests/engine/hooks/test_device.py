"""What a run does with its device before the first batch."""

import shutil
from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmstreet.engine.errors import LaunchError
from mmstreet.engine.hooks.device import DeviceHook
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


@pytest.mark.parametrize("asked", [True, False])
def test_many_sizes_end_cudnns_timing_in_their_loop_only(monkeypatch, asked):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", asked)
    hook, found = DeviceHook(), {"train": [], "val": []}
    hook.before_run(SimpleNamespace(model=Model()))
    for i in range(12):
        for mode, sizes in (("train", [(6, 8), (6, 8)]), ("val", [(6 + i, 8)])):
            batch = dict(inputs=[torch.zeros(3, *size) for size in sizes])
            getattr(hook, f"before_{mode}_iter")(None, i, batch)
            found[mode].append(torch.backends.cudnn.benchmark)
    assert found == {"train": [asked] * 12, "val": [asked] * 8 + [False] * 4}


@pytest.mark.parametrize("batch", [None, {}, {"inputs": torch.zeros(2, 3, 6, 8)}, ([torch.zeros(3, 6, 8)], [0])])
def test_batches_of_other_kinds_pass(monkeypatch, batch):
    monkeypatch.setattr(torch.backends.cudnn, "benchmark", True)
    hook = DeviceHook()
    hook.before_run(SimpleNamespace(model=Model()))
    hook.before_test_iter(None, 0, batch)
    assert torch.backends.cudnn.benchmark


def test_every_run_has_the_hook(tmp_path):
    runner = build_runner(tiny_config(tmp_path))
    assert [hook for hook in runner.hooks if isinstance(hook, DeviceHook)]
