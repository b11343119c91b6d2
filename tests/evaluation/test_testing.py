"""The hooks of a test run: which images are kept, and which checkpoints are refused."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.structures import BaseDataElement, PixelData
from torch import nn

from mmstreet.engine.errors import LaunchError
from mmstreet.evaluation.kept_images import KeepImagesHook
from mmstreet.evaluation.testing import CheckpointFitHook
from mmstreet.labels import STREET6
from mmstreet.metrics.semantic import StreetIoUMetric


def make_sample(name, wrong, *, label=3):
    """Ten pixels of one class, of which the first ``wrong`` are predicted as another."""
    preds = torch.full((1, 1, 10), 3)
    preds[..., :wrong] = 1000
    sample = BaseDataElement(metainfo={"img_path": name})
    sample.gt_sem_seg, sample.pred_sem_seg = PixelData(data=torch.full((1, 1, 10), label)), PixelData(data=preds)
    return sample


def keep_worst(samples, *, keep, batch_size):
    metric = StreetIoUMetric()
    metric.dataset_meta = STREET6.metainfo
    hook = KeepImagesHook(metric, worst=keep)
    for i in range(0, len(samples), batch_size):
        batch = samples[i : i + batch_size]
        metric.process(None, [sample.to_dict() for sample in batch])
        hook.after_test_iter(None, i, outputs=batch)
    return hook.collect()["worst"]


@pytest.mark.parametrize("batch_size", [1, 3])
def test_the_lowest_scores_are_kept_in_order(batch_size):
    samples = [make_sample(f"{wrong}.jpg", wrong) for wrong in (4, 0, 9, 2, 7, 1)]
    kept = keep_worst(samples, keep=3, batch_size=batch_size)
    assert [x.img_path for x in kept] == ["9.jpg", "7.jpg", "4.jpg"]
    assert [x.score for x in kept] == pytest.approx([10, 30, 60])
    assert kept[0].maps["prediction"].tolist() == [[6] * 9 + [3]], "every prediction of no class is the id after the last class"
    assert (kept[0].maps["truth"] == 3).all()
    assert kept[0].maps["truth"].dtype == np.int16


def test_images_without_a_scored_pixel_and_repeated_ones_take_no_place():
    samples = [make_sample("void.jpg", 9, label=255), make_sample("a.jpg", 5), make_sample("b.jpg", 4), make_sample("a.jpg", 5)]
    assert [x.img_path for x in keep_worst(samples, keep=4, batch_size=2)] == ["a.jpg", "b.jpg"]


def test_nothing_is_kept_on_request():
    assert keep_worst([make_sample("a.jpg", 5)], keep=0, batch_size=1) == []


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
