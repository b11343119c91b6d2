"""The hook of a test run that refuses checkpoints."""

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from mmstreet.engine.errors import LaunchError
from mmstreet.evaluation.testing import CheckpointFitHook


@pytest.fixture
def runner():
    model = nn.ModuleDict({"backbone": nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2)), "auxiliary_head": nn.Conv2d(2, 2, 1)})
    model.register_buffer("class_weight", torch.ones(2))
    return SimpleNamespace(model=model, cfg={"load_from": "x.pth"})


def test_what_testing_does_not_use_may_be_absent(runner):
    weights = {name: value for name, value in runner.model.state_dict().items() if name.startswith("backbone")}
    del weights["backbone.1.num_batches_tracked"]
    CheckpointFitHook().after_load_checkpoint(runner, {"state_dict": weights})
    CheckpointFitHook().after_load_checkpoint(runner, {f"module.{name}": value for name, value in weights.items()})
    del weights["backbone.0.bias"]
    with pytest.raises(LaunchError, match=r"\(backbone\.0\.bias\)"):  # the same file without what testing uses
        CheckpointFitHook().after_load_checkpoint(runner, {"state_dict": weights})


@pytest.mark.parametrize("name", ["backbone.0.weight", "backbone.1.running_var"])
def test_a_weight_or_statistic_that_testing_uses_may_not(runner, name):
    weights = runner.model.state_dict()
    del weights[name]
    with pytest.raises(LaunchError, match=rf"1 of 6 weights are not in it \({name}\); give the config"):
        CheckpointFitHook().after_load_checkpoint(runner, {"state_dict": weights})
