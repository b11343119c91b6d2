"""No step of ours waits for its device; and the traps that say so do catch a wait."""

import pytest
import torch

from benchmarks import gpu_parity, gpu_training
from benchmarks.host_waits import cpu_waits

CPU = torch.device("cpu")
WAITS = {
    "item": lambda x: x.sum().item(),
    "bool": lambda x: bool((x > 0).any()),
    "nonzero": lambda x: x.nonzero(),
    "mask": lambda x: x[x > 0],
    "cpu": lambda x: (x + 1).cpu(),
    "numpy": lambda x: (2 * x).numpy(),
    "tolist": lambda x: x.exp().tolist(),
    "to": lambda x: x.to("cpu"),
    "unique": lambda x: x.unique(),
    "cholesky": lambda x: torch.linalg.cholesky(torch.eye(4) + x),
}


@pytest.mark.parametrize("name", WAITS)
def test_a_wait_is_caught_and_blamed_on_its_line(name):
    x = torch.arange(4.0)
    with cpu_waits([x]) as waits:
        WAITS[name](x)
    assert waits
    assert all("test_host_waits.py" in wait.place for wait in waits)


def test_values_of_the_host_and_fills_do_not_count():
    x, host = torch.arange(4.0), torch.arange(3)
    with cpu_waits([x]) as waits:
        int(host.sum())
        x[x > 1] = 0.0
        torch.where(x > 1, x, 2).sum()
    assert not waits
    assert x.tolist() == [0, 1, 0, 0]


@pytest.mark.parametrize("name", ["v3", "CARB", "PixelNet"])
def test_a_step_has_no_wait_of_ours(name):
    make = {
        "v3": lambda: gpu_training.config_step("deeplabv3_mini_v3", CPU, shrink=4),
        "CARB": lambda: gpu_training.carb_step(CPU),
        "PixelNet": lambda: gpu_training.config_step("pixelnet_mini", CPU, shrink=4),
    }[name]
    row = gpu_training.count_step(name, make, CPU)
    assert row["value"] == 0, row["note"]
    assert "mmengine" not in row["note"]  # which would read each loss for its log


@pytest.mark.parametrize("kind", gpu_parity.loss_kinds(), ids=lambda kind: kind.__name__)
def test_a_loss_waits_for_nothing_forward_and_backward(kind):
    row = gpu_training.count_step(kind.__name__, lambda: gpu_parity.loss_step(kind, CPU), CPU)
    assert row["value"] == 0, row["note"]


@pytest.mark.parametrize("kind", gpu_parity.metric_kinds(), ids=lambda k: k.__name__)
def test_the_update_of_a_metric_waits_for_nothing(kind):
    row = gpu_training.count_step(kind.__name__, lambda: gpu_parity.metric_step(kind, CPU), CPU)
    assert row["value"] == 0, row["note"]
