"""A watch raises at the next step what a device found wrong in this one, and at once on the host."""

import copy
import pickle

import pytest
import torch

from benchmarks.host_waits import as_on_device
from mmstreet.losses.modules import FocalDiceLoss, TverskyLoss
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.readback import Readback, Watch, check_later, to_device


def complain():
    raise ValueError("the sentence")


def test_a_readback_gives_the_value():
    assert Readback(torch.tensor([1.5, -2.0], requires_grad=True)).read().tolist() == [1.5, -2.0]


def test_without_a_watch_and_on_the_host_a_check_raises_at_once():
    with pytest.raises(ValueError, match="the sentence"):
        check_later(torch.tensor(True), complain)
    with pytest.raises(ValueError, match="the sentence"), Watch().step():
        check_later(torch.tensor(True), complain)
    check_later(torch.tensor(False), complain)


def test_on_a_device_it_raises_in_the_next_step_and_only_once():
    watch = Watch()
    with as_on_device():
        with watch.step():
            check_later(torch.tensor(False), complain)
            check_later(torch.tensor(True), complain)
        with pytest.raises(ValueError, match="the sentence"), watch.step():
            raise AssertionError("the step must not begin")
        with watch.step():
            pass


@pytest.mark.parametrize("again", [copy.deepcopy, lambda watch: pickle.loads(pickle.dumps(watch))])
def test_a_copy_waits_for_nothing(again):
    watch = Watch()
    with as_on_device(), watch.step():
        check_later(torch.tensor(True), complain)
    again(watch).read()
    with pytest.raises(ValueError, match="the sentence"):
        watch.read()


@pytest.mark.parametrize("kind", [FocalDiceLoss, TverskyLoss])
def test_a_stray_label_says_the_same_on_a_device_one_step_later(kind):
    logits, labels = torch.randn(2, 3, 4, 5, generator=torch.Generator().manual_seed(0)), torch.zeros(2, 4, 5, dtype=torch.int64)
    stray = labels.clone()
    stray[1, 2, 3] = 7
    with pytest.raises(ValueError, match="label id 7") as at_once:
        kind()(logits, stray)
    with as_on_device():
        loss = kind()
        value = loss(logits, stray)
        expected = kind()(logits, torch.where(stray == 7, 255, stray))
        torch.testing.assert_close(value, expected)  # it counts as ignored meanwhile
        with pytest.raises(ValueError, match="label id 7") as later:
            loss(logits, labels)
    assert str(later.value) == str(at_once.value)
    assert "axis 0=1, y=2, x=3" in str(later.value)


def test_the_metric_counts_the_same_on_a_device_and_names_the_file_one_batch_later():
    rng = torch.Generator().manual_seed(0)
    maps = torch.randint(0, 4, (2, 3, 6, 7), generator=rng)
    maps[0, 0, :2] = 255

    def samples(truths, preds):
        return [
            dict(img_path=f"{i}.jpg", gt_sem_seg=dict(data=truth), pred_sem_seg=dict(data=pred))
            for i, (truth, pred) in enumerate(zip(truths, preds))
        ]

    def make():
        metric = StreetIoUMetric(by=["row"])
        metric.dataset_meta = {"classes": ("a", "b", "c", "d")}
        return metric

    here, there = make(), make()
    here.process({}, samples(*maps))
    with as_on_device():
        there.process({}, samples(*maps))
        assert not there.results
        assert there.evaluate(3) == here.evaluate(3)
        assert there.report["slices"] == here.report["slices"]
        wrong = maps[0].clone()
        wrong[1, 3, 2] = 9
        there.process({}, samples(wrong, maps[1]))
        with pytest.raises(ValueError, match=r"1\.jpg: label id 9 .* first at y=3, x=2"):
            there.process({}, samples(*maps))
        there.process({}, samples(maps[0], torch.where(wrong == 9, -3, maps[1])))
        with pytest.raises(ValueError, match=r"1\.jpg: the prediction holds the negative id -3"):
            there.flush()


def test_small_tensors_move():
    assert to_device(torch.tensor([True]), "cpu").tolist() == [True]
