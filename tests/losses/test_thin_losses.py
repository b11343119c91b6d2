"""The losses for thin and rare classes as a config names them."""

import pytest
import torch

from mmstreet.losses.overlap import lovasz_softmax_loss, soft_jaccard_loss
from mmstreet.losses.rmi import rmi_loss
from mmstreet.registry import MODELS
from tests.helpers.loss_contract import LossContract, random_case
from tests.losses import test_rmi

WEIGHTED = {"LovaszSoftmaxLoss": lovasz_softmax_loss, "SoftJaccardLoss": soft_jaccard_loss}


class TestLovaszSoftmaxLossModule(LossContract):
    def loss(self, logits, labels):
        return MODELS.build(dict(type="mmstreet.LovaszSoftmaxLoss"))(logits, labels, weight=None, ignore_index=255)


class TestSoftJaccardLossModule(LossContract):
    def loss(self, logits, labels):
        return MODELS.build(dict(type="mmstreet.SoftJaccardLoss", form=2))(logits, labels, weight=None, ignore_index=255)


class TestSoftLabelLossModule(LossContract):
    def loss(self, logits, labels):
        return MODELS.build(dict(type="mmstreet.SoftLabelLoss", cell_px=1, class_weight=[1, 2, 3, 4]))(logits, labels, ignore_index=255)


class TestRMILossModule(test_rmi.TestRMILoss):
    def loss(self, logits, labels):
        return MODELS.build(dict(type="mmstreet.RMILoss", pool=1, eps=1e-2))(logits, labels, weight=None, ignore_index=255)


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_module_equals_its_function_times_its_weight(name):
    module = MODELS.build(dict(type=f"mmstreet.{name}", loss_weight=0.4))
    torch.testing.assert_close(module(*random_case()), 0.4 * WEIGHTED[name](*random_case()))


def test_the_settings_of_rmi_reach_its_formula():
    logits, labels = random_case()
    module = MODELS.build(dict(type="mmstreet.RMILoss", pool=1, bce_weight=0.25, eps=1e-3, loss_weight=0.5))
    torch.testing.assert_close(module(logits, labels), 0.5 * rmi_loss(logits, labels, pool=1, bce_weight=0.25, eps=1e-3))
    assert repr(module) == "RMILoss(radius_px=3, pool=1, bce_weight=0.25, eps=0.001, loss_weight=0.5)"


@pytest.mark.parametrize("name", WEIGHTED)
def test_a_pixel_of_weight_2_counts_twice_and_one_of_weight_0_not_at_all(name):
    logits, labels = random_case(dtype=torch.float64)
    logits, labels = logits.flatten(2), labels.flatten(1)
    weight = torch.arange(labels.numel()).view(labels.shape) % 3
    order = torch.arange(labels.shape[1])
    repeated = [order.repeat_interleave(w) for w in weight]
    longest = max(map(len, repeated))
    copies, ids = logits.new_zeros(2, 4, longest), labels.new_full((2, longest), 255)
    for b, places in enumerate(repeated):
        copies[b, :, : len(places)], ids[b, : len(places)] = logits[b, :, places], labels[b, places]
    torch.testing.assert_close(WEIGHTED[name](logits, labels, pixel_weight=weight), WEIGHTED[name](copies, ids))


@pytest.mark.parametrize("name", ["RMILoss", "SoftLabelLoss", "BoundaryLoss"])
def test_weights_per_pixel_are_refused_where_the_formula_has_none(name):
    with pytest.raises(ValueError, match=f"{name} .* takes no weight per pixel; leave the sampler out"):
        MODELS.build(dict(type=f"mmstreet.{name}"))(*random_case(), weight=torch.ones(2, 4, 6))


def test_hard_pixel_mining_reaches_the_losses_that_take_weights():
    """mmseg's sampler keeps the pixels of low confidence; the losses see these alone."""
    pytest.importorskip("mmseg")
    from mmengine.registry import DefaultScope
    from mmseg.models.decode_heads import FCNHead

    names = ("FocalDiceLoss", "TverskyLoss", "LovaszSoftmaxLoss", "SoftJaccardLoss")
    losses = [dict(type=f"mmstreet.{name}") for name in names]
    with DefaultScope.overwrite_default_scope("mmseg"):
        sampler = dict(type="OHEMPixelSampler", thresh=0.3, min_kept=2)
        head = FCNHead(in_channels=3, channels=4, num_classes=4, num_convs=1, norm_cfg=None, loss_decode=losses, sampler=sampler)
    logits, labels = random_case()
    kept = head.sampler.sample(logits, labels[:, None])
    valid, confidence = labels != 255, logits.softmax(1).gather(1, labels.where(labels != 255, 0)[:, None])[:, 0]
    assert torch.equal(kept == 1, valid & (confidence < 0.3))
    assert 0 < kept.sum() < valid.sum()
    for loss in head.loss_decode:
        leaf = logits.clone().requires_grad_()
        value = loss(leaf, labels, weight=kept, ignore_index=255)
        torch.testing.assert_close(value, loss(logits, labels.masked_fill(kept == 0, 255), ignore_index=255))
        (grad,) = torch.autograd.grad(value, leaf)
        assert (grad.abs().sum(1) > 0)[kept == 1].all()
        assert (grad.abs().sum(1) == 0)[kept == 0].all()
