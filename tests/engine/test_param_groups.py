"""Joined groups: as few as settings differ, and the same training."""

import copy

import pytest
import torch
from mmengine.optim import build_optim_wrapper
from torch import nn

PARAMWISE = dict(custom_keys=dict(backbone=dict(lr_mult=0.1)), norm_decay_mult=0.0)


def small_model():
    torch.manual_seed(0)
    parts = [nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Linear(6, 3)) for _ in range(2)]
    return nn.ModuleDict(dict(backbone=parts[0], head=parts[1]))


def build(model, optimizer, **settings):
    return build_optim_wrapper(model, dict(type="OptimWrapper", optimizer=optimizer, paramwise_cfg=PARAMWISE, **settings))


def test_a_group_per_setting():
    model = small_model()
    wrapper = build(model, dict(type="SGD", lr=1.0, weight_decay=0.5), constructor="mmstreet.MergedGroupsConstructor")
    # The backbone's 6 tensors are under a custom key, which in mmengine outranks the norm's setting; of the head's 6, 2 are the norm's.
    found = sorted((group["lr"], group["weight_decay"], len(group["params"])) for group in wrapper.optimizer.param_groups)
    assert found == [(0.1, 0.5, 6), (1.0, 0.0, 2), (1.0, 0.5, 4)]
    kept = [id(parameter) for group in wrapper.optimizer.param_groups for parameter in group["params"]]
    assert sorted(kept) == sorted(map(id, model.parameters()))


@pytest.mark.parametrize(
    "optimizer", [dict(type="SGD", lr=0.1, momentum=0.9, weight_decay=1e-2), dict(type="AdamW", lr=1e-2, weight_decay=1e-2)]
)
def test_training_is_that_of_mmengine_s_groups(optimizer):
    one = small_model()
    two = copy.deepcopy(one)
    optimizer = dict(optimizer, weight_decay=0.01)
    plain = build(one, optimizer)
    merged = build(two, optimizer, constructor="mmstreet.MergedGroupsConstructor")
    assert len(plain.optimizer.param_groups) == 12
    for step in range(5):
        inputs = torch.randn(8, 4, generator=torch.Generator().manual_seed(step))
        for model, wrapper in ((one, plain), (two, merged)):
            wrapper.update_params(sum(part(inputs).square().mean() for part in model.values()))
    for ours, theirs in zip(two.parameters(), one.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs, rtol=1e-6, atol=1e-7)
