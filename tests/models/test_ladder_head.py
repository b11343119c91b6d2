import pytest
import torch
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

LOSS = dict(type="mmseg.CrossEntropyLoss", avg_non_ignore=True)
SIZES = ((24, 46, 61), (40, 23, 31), (112, 12, 16), (320, 6, 8))


def make_head(**settings):
    torch.manual_seed(0)
    defaults = dict(in_channels=[size[0] for size in SIZES], num_classes=5, channels=32, loss_decode=LOSS)
    return MODELS.build(dict(defaults, type="mmstreet.LadderHead", **settings))


def make_feats(batch=2):
    return [torch.randn(batch, *size, requires_grad=True) for size in SIZES]


def test_logits_have_the_size_of_the_finest_level_also_for_odd_sizes():
    assert make_head().eval()(make_feats()).shape == (2, 5, 46, 61)
    assert make_head(in_index=(1, 2), in_channels=(40, 112)).eval()(make_feats()).shape == (2, 5, 23, 31)


def test_every_level_and_every_layer_gets_a_gradient():
    head, feats = make_head(dropout_ratio=0.0), make_feats()
    samples = [SegDataSample(gt_sem_seg=PixelData(data=torch.randint(0, 5, (1, 184, 244)))) for _ in range(2)]
    sum(value for name, value in head.loss(feats, samples, {}).items() if "loss" in name).backward()
    assert all(feat.grad.abs().sum() > 0 for feat in feats)
    assert not [name for name, value in head.named_parameters() if value.grad is None or not value.grad.abs().sum() > 0]


def test_an_image_sees_the_whole_scene_through_the_coarsest_grid():
    head, feats = make_head().eval(), make_feats(1)
    moved = [feat.detach().clone() for feat in feats]
    moved[-1][..., 0, 0] += 5
    with torch.no_grad():
        assert ((head(feats) - head(moved)).abs().amax(1) > 0).all()


def test_levels_and_indices_must_agree():
    with pytest.raises(ValueError, match=r"one index each; got \[24, 40\] and \[0, 1, 2\]"):
        make_head(in_channels=(24, 40), in_index=(0, 1, 2))
