"""A longer run learns to its end, and a learning rate of 0 is told."""

import pytest
from mmengine.hooks import Hook
from mmengine.registry import HOOKS

from mmstreet.engine.errors import LaunchError
from mmstreet.engine.launch import build_runner, load_config
from tests.helpers.tiny_runs import tiny_config


@HOOKS.register_module(force=True)
class NoteRates(Hook):
    """Keep the learning rate of each iteration and what is warned about."""

    rates: dict
    said: list

    def before_run(self, runner):
        type(self).rates, type(self).said = {}, []
        for level in ("warning", "info"):
            setattr(runner.logger, level, lambda text, *_, **__: self.said.append(str(text)))

    def before_train_iter(self, runner, batch_idx, data_batch=None):
        self.rates[runner.iter] = [group["lr"] for group in runner.optim_wrapper.param_groups]


POLY = dict(type="PolyLR", power=1.0, eta_min=0.0, by_epoch=True, convert_to_iter_based=True)


def train(work_dir, *, schedulers=(POLY,), resume=None, extension="stretch", change=lambda cfg: None, **length):
    cfg = tiny_config(work_dir, **length)
    cfg.param_scheduler = list(schedulers)
    cfg.custom_hooks += [dict(type="NoteRates"), dict(type="mmstreet.ScheduleHook", extension=extension)]
    if resume is not None:
        cfg.resume, cfg.load_from = True, str(work_dir / resume)
    change(cfg)
    build_runner(cfg).train()
    return {i: rates[0] for i, rates in NoteRates.rates.items()}, list(NoteRates.said)


def line(length, first=0.01):
    """A straight line from ``first`` to 0 in the last of ``length`` iterations."""
    return [first * (1 - i / (length - 1)) for i in range(length)]


@pytest.mark.parametrize(
    "schedulers",
    [[POLY], [dict(type="LinearLR", start_factor=0.1, begin=0, end=3, by_epoch=False), dict(POLY, begin=1)]],
    ids=["alone", "after a warm-up"],
)
def test_a_longer_run_goes_on_along_the_longer_curve(tmp_path, schedulers):
    whole, _ = train(tmp_path / "whole", epochs=4, schedulers=schedulers)
    train(tmp_path / "parts", epochs=2, schedulers=schedulers)
    rates, said = train(tmp_path / "parts", epochs=4, resume="epoch_2.pth", schedulers=schedulers)
    assert rates == {i: whole[i] for i in range(8, 16)}
    assert rates[8] > 0
    assert any("of a run of 2 epochs; the schedule goes on as that of a run of 4 epochs" in text for text in said)


def test_the_curve_is_the_polynomial_of_the_longer_run(tmp_path):
    train(tmp_path, iterations=8, schedulers=[dict(type="PolyLR", by_epoch=False)])
    rates, _ = train(tmp_path, iterations=12, resume="iter_8.pth", schedulers=[dict(type="PolyLR", by_epoch=False)])
    assert list(rates.values()) == pytest.approx(line(12)[8:])


def test_a_restart_starts_again_for_what_is_left_and_survives_a_second_resume(tmp_path):
    train(tmp_path, epochs=2)
    rates, said = train(tmp_path, epochs=4, resume="epoch_2.pth", extension="restart")
    assert list(rates.values()) == pytest.approx(line(8))
    assert any("starts again for the 2 epochs left" in text for text in said)
    for extension in ("stretch", "restart"):  # a requeued job repeats its command
        again, _ = train(tmp_path, epochs=4, resume="epoch_3.pth", extension=extension)
        assert again == {i: rates[i] for i in range(12, 16)}


def test_a_run_of_the_same_length_keeps_every_bit_of_its_schedule(tmp_path):
    whole, _ = train(tmp_path, epochs=3)
    rates, said = train(tmp_path, epochs=3, resume="epoch_1.pth")
    assert rates == {i: whole[i] for i in range(4, 12)}
    assert not [text for text in said if "schedule" in text]


def test_a_learning_rate_of_zero_is_told_once_and_counted(tmp_path):
    _, said = train(tmp_path, epochs=2, schedulers=[dict(type="PolyLR", power=1.0, eta_min=0.0, end=5, by_epoch=False)])
    assert [text for text in said if "learning rate" in text] == [
        "the learning rate is 0 in iteration 5 (epoch 2) for 1 of 1 groups of weights: they learn nothing until it rises; look at "
        "param_scheduler, or resume with --epochs or --iters",
        "4 iterations of this run had a learning rate of 0",
    ]


def test_only_groups_that_should_learn_count(tmp_path):
    def freeze(cfg):
        cfg.optim_wrapper.paramwise_cfg = dict(custom_keys={"body.0": dict(lr_mult=0.0)})

    _, said = train(tmp_path, epochs=1, change=freeze)
    assert not [text for text in said if "learning rate is 0" in text]


def test_a_run_that_is_shorter_than_its_checkpoint_is_refused(tmp_path):
    train(tmp_path, epochs=2)
    with pytest.raises(LaunchError, match="trained for 2 epochs, but this run has 1; give --epochs N with N above 2"):
        train(tmp_path, epochs=1, resume="epoch_2.pth")


def test_the_length_of_a_config_moves_the_ends_of_its_schedules(tmp_path):
    path = tmp_path / "street.py"
    path.write_text(
        "model = dict(type='ToyModel')\n"
        "train_cfg = dict(type='IterBasedTrainLoop', max_iters=100)\n"
        "param_scheduler = [dict(type='LinearLR', end=10, by_epoch=False), dict(type='PolyLR', begin=10, end=100, by_epoch=False)]\n"
    )
    cfg = load_config(path, iters=150, schedule="restart")
    assert cfg.train_cfg.max_iters == 150
    assert [spec.end for spec in cfg.param_scheduler] == [10, 150]
    assert cfg.custom_hooks == [dict(type="mmstreet.ScheduleHook", extension="restart")]
    with pytest.raises(LaunchError, match=r"cannot be set to 9 by train_cfg.max_epochs: it counts iters, so give --iters"):
        load_config(path, epochs=9)
