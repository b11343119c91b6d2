"""A watch raises at the next step what a device found wrong in this one, and at once on the host."""

import copy
import pickle
from contextlib import nullcontext

import numpy as np
import pytest
import torch

from benchmarks.host_waits import as_on_device
from mmstreet.labels import STREET6
from mmstreet.losses.modules import FocalDiceLoss, TverskyLoss
from mmstreet.losses.thin_losses import LovaszSoftmaxLoss, SoftJaccardLoss
from mmstreet.metrics.confidence import CalibrationMetric
from mmstreet.metrics.dangerous_confusions import DangerousConfusionMetric
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.readback import Numbers, Readback, Watch, check_later, to_device


def complain():
    raise ValueError("the sentence")


def test_a_readback_gives_the_value():
    assert Readback(torch.tensor([1.5, -2.0], requires_grad=True)).read().tolist() == [1.5, -2.0]


@pytest.mark.parametrize("place", [nullcontext, as_on_device])
def test_numbers_keep_their_order_and_value_wherever_they_are(place):
    values = {"b": torch.tensor(0.1, requires_grad=True), "a": 3, "c": torch.tensor([2.5], dtype=torch.float16), "d": np.float32(0.1)}
    with place():
        numbers = Numbers(values)
        assert numbers.on_host == (place is nullcontext)
        read = numbers.read()
    assert list(read.items()) == [("b", torch.tensor(0.1).item()), ("a", 3.0), ("c", 2.5), ("d", float(np.float32(0.1)))]
    assert Numbers({}).read() == {}


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


@pytest.mark.parametrize("kind", [FocalDiceLoss, TverskyLoss, LovaszSoftmaxLoss, SoftJaccardLoss])
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


@pytest.mark.parametrize("kind", [TverskyLoss, LovaszSoftmaxLoss, SoftJaccardLoss])
@pytest.mark.parametrize("ignored", [False, True])
def test_a_loss_and_its_gradient_are_the_same_on_a_device(kind, ignored):
    rng = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(2, 5, 6, 7, generator=rng, dtype=torch.float64), torch.randint(4, (2, 6, 7), generator=rng)
    labels[:, :2], labels[labels == 1] = 255, 2  # classes 1 and 4 do not occur
    labels = torch.full_like(labels, 255) if ignored else labels
    logits[:, :, :2] = torch.nan  # ignored pixels may hold anything
    found = []
    for place in (nullcontext(), as_on_device()):
        leaf = logits.clone().requires_grad_()
        with place:
            value = kind()(leaf, labels)
            value.backward()
        found.append((value.detach(), leaf.grad))
    torch.testing.assert_close(found[1], found[0], rtol=1e-12, atol=1e-14)
    assert found[0][1].isfinite().all()


@pytest.mark.parametrize(("kind", "settings"), [(CalibrationMetric, dict(temperature=2.0, fit_pixels=7)), (DangerousConfusionMetric, {})])
def test_a_metric_of_scores_or_objects_says_the_same_on_a_device(kind, settings):
    rng = torch.Generator().manual_seed(0)
    samples = []
    for i in range(4):
        logits = 3 * torch.randn(6, 30, 40, generator=rng).repeat_interleave(4, 1)
        labels = torch.randint(6, (1, 20, 10), generator=rng).repeat_interleave(6, 1).repeat_interleave(4, 2)
        labels[:, :7] = 255
        maps = dict(seg_logits=dict(data=logits), pred_sem_seg=dict(data=logits.argmax(0)[None]), gt_sem_seg=dict(data=labels))
        samples.append(dict(img_path=f"{i}.jpg", **maps))

    def make():
        metric = kind(**settings)
        metric.dataset_meta = STREET6.metainfo
        return metric

    here, there = make(), make()
    here.process({}, samples)
    expected = here.evaluate(4)
    wrong = samples[1]["gt_sem_seg"]["data"].clone()
    wrong[0, 33, 2] = 9
    broken = [{**samples[1], "gt_sem_seg": dict(data=wrong)}]
    with pytest.raises(ValueError, match=r"1\.jpg.* label id 9 .* y=\d+, x=2|label id 9 in 1\.jpg") as at_once:
        make().process({}, broken)
    with as_on_device():
        there.process({}, samples[:3])
        there.process({}, samples[3:])
        assert there.evaluate(4) == pytest.approx(expected, rel=1e-6)
        if settings:
            assert all(torch.equal(a, b) for a, b in zip(there.sample, here.sample))
        there.process({}, broken)
        with pytest.raises(ValueError, match="label id 9") as later:
            there.process({}, samples[:1])
        assert str(later.value) == str(at_once.value)


def test_small_tensors_move():
    assert to_device(torch.tensor([True]), "cpu").tolist() == [True]
