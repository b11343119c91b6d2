"""Training 2N equals training N, stopping, and resuming to 2N, bit for bit."""

import shutil
from pathlib import Path

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmstreet.engine.safe_load import read_checkpoint
from tests.helpers.tiny_runs import stop_workers, tiny_config


def train(work_dir, *, resume=False, **settings):
    """Train; return what the last checkpoint holds."""
    cfg = tiny_config(work_dir, **settings)
    cfg.resume = resume
    runner = Runner.from_cfg(cfg)
    if settings.get("stop_after"):
        with pytest.raises(KeyboardInterrupt):
            runner.train()
    else:
        runner.train()
    stop_workers(runner)
    return read_checkpoint((Path(work_dir) / "last_checkpoint").read_text())


def flatten(node, name=""):
    """Yield every number and tensor of a nested structure with its place."""
    if isinstance(node, dict):
        for key, value in node.items():
            yield from flatten(value, f"{name}.{key}")
    elif isinstance(node, list | tuple):
        for key, value in enumerate(node):
            yield from flatten(value, f"{name}.{key}")
    else:
        yield name, node


def assert_same_state(a, b):
    for part in ("state_dict", "optimizer", "param_schedulers"):
        ours, theirs = dict(flatten(a[part])), dict(flatten(b[part]))
        assert ours.keys() == theirs.keys()
        for name, value in ours.items():
            same = torch.equal(value, theirs[name]) if torch.is_tensor(value) else value == theirs[name]
            assert same, f"{part}{name} differs"
    assert (a["meta"]["epoch"], a["meta"]["iter"]) == (b["meta"]["epoch"], b["meta"]["iter"])


@pytest.fixture(scope="module")
def four_epochs(tmp_path_factory):
    """An uninterrupted run: 4 epochs of 4 iterations, no workers."""
    return train(tmp_path_factory.mktemp("whole"))


WORKERS = [(0, False), (2, False), (2, True)]


@pytest.mark.parametrize(("workers", "persistent"), WORKERS)
def test_two_epochs_and_two_more_equal_four(tmp_path, four_epochs, workers, persistent):
    half = train(tmp_path, workers=workers, persistent=persistent, stop_after=8)
    assert half["meta"]["epoch"] == 2
    assert_same_state(train(tmp_path, workers=workers, persistent=persistent, resume=True), four_epochs)


def test_a_shorter_run_can_be_extended(tmp_path, four_epochs):
    train(tmp_path, epochs=2)
    assert_same_state(train(tmp_path, epochs=4, resume=True), four_epochs)


def test_the_comparison_notices_another_seed(tmp_path, four_epochs):
    with pytest.raises(AssertionError, match="state_dict"):
        assert_same_state(train(tmp_path, seed=8), four_epochs)


def test_resuming_inside_an_epoch_skips_the_batches_seen(tmp_path, four_epochs):
    every_iteration = dict(type="mmstreet.AtomicCheckpointHook", interval=1, by_epoch=False)
    half = train(tmp_path, stop_after=6, checkpoint=every_iteration)
    assert (half["meta"]["epoch"], half["meta"]["iter"]) == (1, 6)
    log = tmp_path / "indices.txt"
    end = train(tmp_path, resume=True, checkpoint=every_iteration, log=log)
    assert len(log.read_text().split()) == 10 * 5  # of 16 batches, 10 are left
    end["meta"]["epoch"] += 1  # written inside the last epoch, not after it
    assert_same_state(end, four_epochs)


def test_without_a_seed_the_drawn_one_goes_on(tmp_path):
    first = tmp_path / "first"
    half = train(first, seed=None, stop_after=8)
    second = Path(shutil.copytree(first, tmp_path / "second"))
    end = train(first, seed=None, resume=True)
    assert_same_state(train(second, seed=None, resume=True), end)
    assert_same_state(train(tmp_path / "whole", seed=half["meta"]["seed"]), end)


@pytest.mark.parametrize("sampler", ["InfiniteSampler", "DefaultSampler"])
@pytest.mark.parametrize(("workers", "persistent"), [(0, False), (2, True)])
def test_an_iteration_based_run_resumes_without_reading_twice(tmp_path, sampler, workers, persistent):
    whole = train(tmp_path / "whole", iterations=12, sampler=sampler)
    settings = dict(iterations=12, sampler=sampler, workers=workers, persistent=persistent)
    train(tmp_path / "parts", stop_after=8, **settings)
    log = tmp_path / "indices.txt"
    assert_same_state(train(tmp_path / "parts", resume=True, log=log, **settings), whole)
    read = len(log.read_text().split())
    assert read >= 4 * 5
    assert workers or read == 4 * 5  # workers fetch ahead


def test_a_seed_drawn_late_reaches_an_infinite_sampler(tmp_path):
    half = train(tmp_path / "parts", seed=None, iterations=12, sampler="InfiniteSampler", stop_after=8)
    end = train(tmp_path / "parts", seed=None, iterations=12, sampler="InfiniteSampler", resume=True)
    whole = train(tmp_path / "whole", seed=half["meta"]["seed"], iterations=12, sampler="InfiniteSampler")
    assert_same_state(end, whole)


def test_accumulated_gradients_that_a_checkpoint_lacks_are_reported(tmp_path):
    cfg = tiny_config(tmp_path, epochs=1)
    cfg.optim_wrapper.accumulative_counts = 3
    cfg.default_hooks.checkpoint.update(interval=1, by_epoch=False)
    runner = Runner.from_cfg(cfg)
    messages = []
    runner.logger.warning = messages.append
    runner.train()
    told = [message for message in messages if "does not hold the gradients accumulated so far" in message]
    assert len(told) == 2  # after iterations 1 and 2; the steps are after 3 and, at the end, 4


EMA = dict(type="EMAHook", ema_type="MomentumAnnealingEMA", momentum=0.1, gamma=2, update_buffers=True)


class Averages(Hook):
    """The same averages by a plain loop, and what a validation saw."""

    priority = "LOWEST"

    def __init__(self):
        self.mean, self.validated = None, None

    def after_train_iter(self, runner, batch_idx, data_batch=None, outputs=None):
        weights = {name: value.detach().clone() for name, value in runner.model.named_parameters()}
        share = max(0.1, 2 / (2 + runner.iter))
        self.mean = {name: (1 - share) * self.mean[name] + share * value for name, value in weights.items()} if self.mean else weights

    def before_val_epoch(self, runner):
        self.validated = {name: value.detach().clone() for name, value in runner.model.named_parameters()}


def test_averaged_weights_resume_exactly_and_are_those_that_are_validated_and_saved(tmp_path):
    whole, averages = tmp_path / "whole", Averages()
    runner = Runner.from_cfg(tiny_config(whole, hooks=(EMA,), validate=True))
    runner.register_hook(averages)
    runner.train()
    end = read_checkpoint((whole / "last_checkpoint").read_text())
    for name, value in averages.mean.items():
        torch.testing.assert_close(end["state_dict"][name], value)
        assert torch.equal(averages.validated[name], end["state_dict"][name])
        assert not torch.equal(value, dict(runner.model.named_parameters())[name])
    train(tmp_path / "parts", stop_after=8, hooks=(EMA,), validate=True)
    resumed = train(tmp_path / "parts", resume=True, hooks=(EMA,), validate=True)
    assert_same_state(resumed, end)
    assert all(torch.equal(value, end["ema_state_dict"][name]) for name, value in resumed["ema_state_dict"].items())
