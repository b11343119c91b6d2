"""Label maps of a test are those that mmseg makes; scores at the size of the image are there for those who read them."""

import copy

import numpy as np
import pytest
import torch
from mmengine.config import ConfigDict
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.registry import MODELS
from mmseg.structures import SegDataSample

from mmstreet.engine.errors import NonFiniteError
from mmstreet.engine.hooks import LabelMapsHook
from mmstreet.engine.hooks.label_maps import finish_samples
from mmstreet.metrics.confidence import CalibrationMetric
from mmstreet.metrics.semantic import StreetIoUMetric

SEGMENTOR = dict(
    type="mmseg.EncoderDecoder",
    data_preprocessor=dict(type="mmseg.SegDataPreProcessor", mean=[0.0] * 3, std=[255.0] * 3, size_divisor=16, pad_val=0),
    backbone=dict(type="mmseg.ResNet", depth=18, base_channels=4, stem_channels=4),
    decode_head=dict(
        type="mmseg.FCNHead",
        in_channels=32,
        channels=4,
        in_index=3,
        num_classes=5,
        num_convs=1,
        loss_decode=dict(type="mmseg.CrossEntropyLoss"),
    ),
    test_cfg=dict(mode="whole"),
)


class Counted(BaseMetric):
    """A metric of someone else."""

    def process(self, data_batch, data_samples):
        self.results += data_samples

    def compute_metrics(self, results):
        return {"number": len(results)}


class Runner:
    """What the hook asks of a runner."""

    def __init__(self, model, metrics, hooks=()):
        self.model, self.hooks = model, list(hooks)
        self.val_loop = self.test_loop = type("Loop", (), {"evaluator": type("Evaluator", (), {"metrics": metrics})})


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return MODELS.build(ConfigDict(copy.deepcopy(SEGMENTOR))).eval()


def samples(*more):
    plain = dict(img_path="a.png", ori_shape=(50, 90), img_shape=(32, 64))
    return [SegDataSample(metainfo=dict(plain, **metainfo)) for metainfo in more]


WAYS = (
    {},
    dict(ori_shape=(20, 30)),
    dict(ori_shape=(32, 64)),
    dict(flip=True, flip_direction="horizontal"),
    dict(flip=True, flip_direction="vertical", padding_size=[2, 0, 0, 5]),
    dict(img_padding_size=[0, 4, 3, 0]),
)


@pytest.mark.parametrize("keep_scores", [False, True])
def test_labels_and_scores_are_those_of_mmseg(keep_scores, model):
    logits = torch.randn(len(WAYS), 5, 4, 8, generator=torch.Generator().manual_seed(1))
    logits = torch.nn.functional.interpolate(logits, (32, 64), mode="bilinear")
    want = model.postprocess_result(logits, samples(*WAYS))
    found = finish_samples(model, logits, samples(*WAYS), keep_scores=keep_scores)
    for ours, theirs in zip(found, want, strict=True):
        assert ours.pred_sem_seg.data.dtype == torch.int64
        assert torch.equal(ours.pred_sem_seg.data, theirs.pred_sem_seg.data)
        assert ("seg_logits" in ours) == keep_scores
        if keep_scores:
            assert torch.equal(ours.seg_logits.data, theirs.seg_logits.data)


def run(model, metrics, hooks=()):
    """Predict one image as a test loop does, and say whether its scores are there."""
    hook, runner = LabelMapsHook(), Runner(model, metrics, hooks)
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 255, (3, 32, 64), np.uint8))
    answers = []
    for begin, end in (("before_val", "after_val"), ("before_test", "after_test")):
        getattr(hook, begin)(runner)
        answers += model.test_step({"inputs": [image], "data_samples": samples({})})
        getattr(hook, end)(runner)
    plain = model.test_step({"inputs": [image], "data_samples": samples({})})[0]
    assert "seg_logits" in plain
    for answer in answers:
        assert torch.equal(answer.pred_sem_seg.data, plain.pred_sem_seg.data)
    return ["seg_logits" in answer for answer in answers]


def test_a_test_without_readers_of_scores_has_none_and_one_with_a_reader_has_them(model):
    reader = Hook()
    reader.needs_scores = True
    modest = Counted()
    modest.needs_scores = False
    assert run(model, [StreetIoUMetric()]) == [False, False]
    assert run(model, [StreetIoUMetric(), CalibrationMetric()]) == [True, True]
    assert run(model, [StreetIoUMetric(), Counted()]) == [True, True]
    assert run(model, [modest]) == [False, False]
    assert run(model, [StreetIoUMetric()], [Hook()]) == [False, False]
    assert run(model, [StreetIoUMetric()], [reader]) == [True, True]


def test_a_segmentor_with_a_way_of_its_own_and_a_head_of_one_channel_work_as_before(model):
    class Own(type(model)):
        def postprocess_result(self, seg_logits, data_samples=None):
            return "its own"

    own = copy.deepcopy(model)
    own.__class__ = Own
    LabelMapsHook().before_test(Runner(own, [StreetIoUMetric()]))
    assert own.postprocess_result(None) == "its own"
    config = copy.deepcopy(SEGMENTOR)
    config["decode_head"] |= dict(num_classes=2, out_channels=1, loss_decode=dict(type="mmseg.CrossEntropyLoss", use_sigmoid=True))
    assert run(MODELS.build(ConfigDict(config)).eval(), [StreetIoUMetric()]) == [True, True]


def test_scores_that_are_not_finite_are_refused_with_the_image(model):
    logits = torch.zeros(1, 5, 8, 8)
    logits[0, 2, 3, 4] = float("nan")
    with pytest.raises(NonFiniteError, match=r"logits of 'a\.png'"):
        finish_samples(model, logits, samples({}), keep_scores=False)
