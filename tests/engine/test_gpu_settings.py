"""What a config that leaves it open does on a GPU."""

import pytest
import torch
from mmengine.config import Config

from mmstreet.engine.gpu_settings import set_for_gpu


@pytest.mark.parametrize("kind", ["SGD", "Adam", "AdamW", "torch.optim.AdamW"])
def test_optimizers_that_have_it_update_in_one_kernel(kind):
    cfg = Config(dict(optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type=kind, lr=0.1))))
    set_for_gpu(cfg)
    settings = dict(cfg.optim_wrapper.optimizer)
    name = settings.pop("type").rpartition(".")[2]
    weight = torch.nn.Parameter(torch.ones(3))
    assert getattr(torch.optim, name)([weight], **settings).param_groups[0]["fused"] is True


@pytest.mark.parametrize(
    "optimizer", [dict(type="RMSprop"), dict(type="MyAdamW2"), dict(type="AdamW", fused=False), dict(type="SGD", foreach=False)]
)
def test_others_and_those_with_a_choice_stay(optimizer):
    cfg = Config(dict(optim_wrapper=dict(optimizer=dict(optimizer))))
    set_for_gpu(cfg)
    assert dict(cfg.optim_wrapper.optimizer) == optimizer


def test_a_config_without_training_or_loaders():
    cfg = Config(dict(model=dict(type="X"), val_dataloader=None, test_dataloader=dict(batch_size=1)))
    set_for_gpu(cfg)
    assert cfg.test_dataloader.pin_memory
    assert cfg.val_dataloader is None
    assert "optim_wrapper" not in cfg


@pytest.mark.parametrize("kind", ["SGD", "AdamW"])
def test_a_run_of_a_gpu_goes_on_on_a_cpu(kind):
    """Its optimizer's state says fused; the steps are then those of a run without."""
    made = {}
    for fused in (True, False):
        torch.manual_seed(0)
        layer = torch.nn.Linear(5, 3)
        optimizer = getattr(torch.optim, kind)(layer.parameters(), lr=0.05)
        state = optimizer.state_dict()
        for group in state["param_groups"]:
            group["fused"] = fused
        optimizer.load_state_dict(state)
        for _ in range(3):
            optimizer.zero_grad()
            layer(torch.ones(2, 5)).square().sum().backward()
            optimizer.step()
        made[fused] = layer.weight.detach()
    torch.testing.assert_close(made[True], made[False])
