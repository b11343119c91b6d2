"""The boundary term and the skeleton recall of both heads that have them."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from mmstreet.losses.boundary import boundary_loss

LOSS = dict(type="mmstreet.FocalDiceLoss")
HEADS = {
    "DeepLabV3Head": dict(in_channels=8, channels=4, atrous_rates=(1, 2), project_dropout=0.0),
    "LadderHead": dict(in_channels=(6, 8), in_index=(0, 1), channels=4, dropout_ratio=0.0),
}
INPUTS = [torch.randn(2, 6, 12, 16, generator=torch.Generator().manual_seed(0)), torch.randn(2, 8, 6, 8)]


def make_head(name, **settings):
    torch.manual_seed(0)
    return MODELS.build(dict(HEADS[name], type=f"mmstreet.{name}", num_classes=3, loss_decode=LOSS, **settings))


def make_samples(skeletons=True):
    rng = torch.Generator().manual_seed(1)
    samples = []
    for _ in range(2):
        labels = torch.randint(3, (1, 24, 32), generator=rng)
        labels[:, :5] = 255
        marked = torch.where((labels == 2) & (torch.rand(1, 24, 32, generator=rng) < 0.5), 2, 255)
        data = dict(gt_sem_seg=PixelData(data=labels), **(dict(gt_edge_map=PixelData(data=marked)) if skeletons else {}))
        samples.append(SegDataSample(**data))
    return samples


def upsampled(head, maps):
    return F.interpolate(maps, (24, 32), mode="bilinear", align_corners=head.align_corners)


@pytest.mark.parametrize("name", HEADS)
def test_the_boundary_term_is_the_loss_of_one_logit_on_the_classifiers_features(name):
    head, samples = make_head(name, boundary_weight=0.2), make_samples()
    value = head.loss(INPUTS, samples, {})["loss_boundary"]
    labels = torch.cat([sample.gt_sem_seg.data for sample in samples])
    torch.testing.assert_close(value, 0.2 * boundary_loss(upsampled(head, head.conv_boundary(head.extract_features(INPUTS))), labels))
    value.backward()
    assert head.conv_boundary.weight.grad.abs().sum() > 0
    assert all(p.grad is not None for key, p in head.named_parameters() if "conv_seg" not in key)


@pytest.mark.parametrize("name", HEADS)
def test_skeleton_recall_is_one_minus_the_mean_probability_along_the_skeleton(name):
    head, samples = make_head(name, skeleton_weight=0.5), make_samples()
    value = head.loss(INPUTS, samples, {})["loss_skeleton"]
    probs = upsampled(head, head(INPUTS)).softmax(1)
    on = torch.cat([sample.gt_edge_map.data for sample in samples]) == 2
    torch.testing.assert_close(value, 0.5 * (1 - probs[:, 2][on].mean()))


@pytest.mark.parametrize("name", HEADS)
def test_prediction_does_not_know_the_terms(name):
    plain, aware = make_head(name).eval(), make_head(name, boundary_weight=0.2, skeleton_weight=1.0).eval()
    outcome = plain.load_state_dict(aware.state_dict(), strict=False)
    assert outcome.missing_keys == []
    assert set(outcome.unexpected_keys) == {"conv_boundary.weight", "conv_boundary.bias"}
    aware.conv_boundary = None  # prediction would fail if it asked for it
    with torch.no_grad():
        assert torch.equal(plain(INPUTS), aware(INPUTS))


@pytest.mark.parametrize("name", HEADS)
def test_without_the_terms_nothing_is_added(name):
    head = make_head(name)
    assert set(head.loss(INPUTS, make_samples(skeletons=False), {})) == {"loss_focal_dice", "acc_seg"}
    assert not [key for key in head.state_dict() if "boundary" in key]


def test_what_cannot_be_is_said():
    with pytest.raises(ValueError, match=r"needs dict\(type='mmstreet.MarkSkeletons'"):
        make_head("LadderHead", skeleton_weight=1.0).loss(INPUTS, make_samples(skeletons=False), {})
    with pytest.raises(ValueError, match="expects boundary_weight >= 0, got -1"):
        make_head("LadderHead", boundary_weight=-1)
    with pytest.raises(ValueError, match="set one of the two"):
        make_head("DeepLabV3Head", boundary_weight=0.2, freeze_features=True)
