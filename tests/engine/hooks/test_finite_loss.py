"""Training stops at the first number that is none, says where, and never saves it."""

import pytest
import torch
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from benchmarks.host_waits import as_on_device
from mmstreet.engine.errors import NonFiniteError, TrainingStopped
from mmstreet.engine.hooks import FiniteLossHook
from mmstreet.readback import Watch, check_later
from tests.helpers.tiny_runs import tiny_config


@MODELS.register_module(force=True)
class Breaking(BaseModel):
    """A loss of two parts; from one iteration on a part or a gradient is broken."""

    def __init__(self, *, at: int, loss: float = 1.0, gradient: float = 1.0) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.at, self.loss, self.gradient, self.calls = at, loss, gradient, 0

    def forward(self, inputs, labels, mode="tensor"):
        self.calls += 1
        broken = self.calls == self.at
        self.weight.register_hook(lambda grad: grad * (self.gradient if broken else 1.0))
        return {"decode.loss_ce": self.weight.sum(), "decode.loss_dice": self.weight.sum() * (self.loss if broken else 1.0)}


def run(tmp_path, **model):
    cfg = tiny_config(tmp_path, model=dict(type="Breaking", **model))
    cfg.custom_hooks = [dict(type="mmstreet.FiniteLossHook")]
    Runner.from_cfg(cfg).train()


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_broken_loss_stops_with_its_name_place_and_the_last_good_checkpoint(tmp_path, value):
    with pytest.raises(NonFiniteError) as stop:
        run(tmp_path, at=6, loss=value)
    assert isinstance(stop.value, TrainingStopped)
    text = str(stop.value)
    assert text.startswith(f"loss 'decode.loss_dice' is {value} in iteration 6 (epoch 2) on ")
    assert f"the last good checkpoint is '{tmp_path / 'epoch_1.pth'}'" in text
    assert (tmp_path / "last_checkpoint").read_text() == str(tmp_path / "epoch_1.pth")


def test_before_the_first_checkpoint_it_says_so(tmp_path):
    with pytest.raises(NonFiniteError, match=r"in iteration 1 .*; there is no checkpoint yet; lower the learning rate"):
        run(tmp_path, at=1, loss=float("nan"))


def test_weights_broken_by_a_gradient_are_not_saved(tmp_path):
    with pytest.raises(NonFiniteError, match=r"weight 'weight' is not finite after 8 iterations.*last good checkpoint is '.*epoch_1\.pth'"):
        run(tmp_path, at=8, gradient=float("inf"))
    assert sorted(p.name for p in tmp_path.glob("*.pth")) == ["epoch_1.pth"]


def test_the_files_of_the_batch_are_named():
    class Runner:
        iter, epoch, work_dir = 4, 0, "/nowhere"

    batch = {"data_samples": [BaseDataElement(metainfo={"img_path": f"data/{name}.jpg"}) for name in "ab"]}
    with pytest.raises(NonFiniteError, match=r"in iteration 5 \(epoch 1\) on data/a\.jpg, data/b\.jpg; there is no checkpoint yet"):
        FiniteLossHook().after_train_iter(Runner, 0, batch, {"loss": torch.tensor(float("nan"))})


def test_numbers_that_are_no_losses_may_be_anything(tmp_path):
    class Runner:
        iter, epoch, work_dir = 4, 0, "/nowhere"

    FiniteLossHook().after_train_iter(Runner, 0, {}, {"loss": torch.tensor(1.0), "acc_seg": torch.tensor(float("nan"))})
    with pytest.raises(NonFiniteError):  # the same numbers the other way round
        FiniteLossHook().after_train_iter(Runner, 0, {}, {"loss": torch.tensor(float("nan")), "acc_seg": torch.tensor(1.0)})


def test_an_interval_below_one_is_refused():
    with pytest.raises(ValueError, match="interval must be at least 1 iteration, not 0"):
        FiniteLossHook(interval=0)


class _Runner:
    iter, epoch, work_dir, model = 4, 0, "/nowhere", torch.nn.Module()


def test_on_a_device_a_loss_is_read_one_iteration_later_with_its_own_place():
    batch = {"data_samples": [BaseDataElement(metainfo={"img_path": "a.jpg"})]}
    hook, later = FiniteLossHook(), type("Later", (_Runner,), {"iter": 5})
    with as_on_device():
        hook.after_train_iter(_Runner, 0, batch, {"loss": torch.tensor(float("inf"))})
        with pytest.raises(NonFiniteError, match=r"loss 'loss' is inf in iteration 5 \(epoch 1\) on a\.jpg"):
            hook.after_train_iter(later, 1, {}, {"loss": torch.tensor(1.0)})


@pytest.mark.parametrize("end", ["after_train", "before_save_checkpoint"])
def test_on_a_device_the_last_iteration_and_its_labels_are_looked_at_before_the_end(end):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.watch = Watch()

    checkpoint = {"state_dict": {}, "meta": {"iter": 5}}
    rest = () if end == "after_train" else (checkpoint,)
    with as_on_device():
        hook = FiniteLossHook()
        hook.after_train_iter(_Runner, 0, {}, {"loss": torch.tensor(float("nan"))})
        with pytest.raises(NonFiniteError, match="loss 'loss' is nan in iteration 5"):
            getattr(hook, end)(_Runner, *rest)
        runner = type("WithWatch", (_Runner,), {"model": Model()})
        with runner.model.watch.step():
            check_later(torch.tensor(True), lambda: int("no label"))
        with pytest.raises(ValueError, match="no label"):
            getattr(hook, end)(runner, *rest)
