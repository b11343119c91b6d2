"""Lovász-Softmax and the Jaccard metric losses against published vectors, counted IoU and scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn.metrics import jaccard_score

from mmstreet.losses.overlap import lovasz_softmax_loss, soft_jaccard_loss
from tests.helpers.loss_contract import LossContract, random_case

LOGITS = torch.tensor([[[[2.0, 0.0, -1.0, 0.5]], [[0.0, 1.0, 0.0, 0.5]], [[-1.0, 0.0, 3.0, 0.5]]]], dtype=torch.float64)
LABELS = torch.tensor([[[0, 1, 2, 0]]])


class TestLovaszSoftmaxLoss(LossContract):
    def loss(self, logits, labels):
        return lovasz_softmax_loss(logits, labels)


class TestSoftJaccardLoss(LossContract):
    def loss(self, logits, labels):
        return soft_jaccard_loss(logits, labels)


class TestSoftJaccardLossOfTheSecondForm(LossContract):
    def loss(self, logits, labels):
        return soft_jaccard_loss(logits, labels, form=2)


def test_values_of_four_pixels():
    assert lovasz_softmax_loss(LOGITS, LABELS).item() == pytest.approx((0.420725 + 0.423883 + 0.223244) / 3, abs=1e-6)
    for form in (1, 2):
        assert soft_jaccard_loss(LOGITS, LABELS, form=form).item() == pytest.approx((0.471924 + 0.614416 + 0.410163) / 3, abs=1e-6)


@pytest.mark.parametrize("loss", [lovasz_softmax_loss, soft_jaccard_loss])
def test_on_certain_predictions_it_is_one_minus_the_iou_of_scikit_learn(loss):
    logits, labels = random_case(4, dtype=torch.float64)
    predicted = logits.argmax(1)
    certain = 1000 * torch.nn.functional.one_hot(predicted, 4).movedim(-1, 1).double()
    valid = (labels != 255).numpy()
    ious = jaccard_score(labels.numpy()[valid], predicted.numpy()[valid], average=None, labels=np.unique(labels.numpy()[valid]))
    assert loss(certain, labels).item() == pytest.approx(1 - ious.mean(), abs=1e-9)


@pytest.mark.parametrize("form", [1, 2])
def test_soft_labels_are_their_own_minimum(form):
    logits, _ = random_case(4, dtype=torch.float64)
    soft = logits.softmax(1)
    assert soft_jaccard_loss(logits, soft, form=form).item() == pytest.approx(0, abs=1e-12)
    sharper = soft_jaccard_loss(2 * logits, soft, form=form)
    assert sharper > 0.01
    soft = soft.clone()
    soft[:, :, 0] = 0  # ignored: no class has a share there
    moved = logits.clone()
    moved[:, :, 0] += torch.randn(4, 1, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    torch.testing.assert_close(soft_jaccard_loss(moved, soft, form=form), soft_jaccard_loss(logits, soft, form=form))


def test_wrong_settings_are_refused():
    with pytest.raises(ValueError, match="form must be 1 or 2, got 3"):
        soft_jaccard_loss(LOGITS, LABELS, form=3)
    with pytest.raises(ValueError, match="soft labels must be shaped as the logits"):
        soft_jaccard_loss(LOGITS, torch.zeros(1, 2, 1, 4))


def test_pixels_of_equal_errors_are_ranked_in_their_order():
    labels = torch.tensor([[[0, 1, 0, 1, 1, 0]]])
    leaf = torch.zeros(1, 2, 1, 6, dtype=torch.float64, requires_grad=True)  # every error is a half
    lovasz_softmax_loss(leaf, labels).backward()
    expected = torch.zeros(2, 6, dtype=torch.float64)
    for c in range(2):
        hits = [int(y == c) for y in labels.flatten().tolist()]
        missed = [1 - (sum(hits[i:]) / (sum(hits) + sum(1 - h for h in hits[:i]))) for i in range(7)]
        for i, hit in enumerate(hits):
            by_prob = (missed[i + 1] - missed[i]) * (-1 if hit else 1) / 2  # two classes
            expected[c, i] += by_prob / 4
            expected[1 - c, i] -= by_prob / 4
    torch.testing.assert_close(leaf.grad[0, :, 0], expected)


def test_the_last_digit_of_float32_moves_no_loss_and_no_gradient_of_float64():
    logits, labels = torch.randn(1, 3, 80, 90, generator=torch.Generator().manual_seed(0)), torch.arange(7200).view(1, 80, 90) % 3
    noise = torch.randn(logits.shape, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(
        lovasz_softmax_loss(logits * (1 + 1e-7 * noise), labels), lovasz_softmax_loss(logits, labels), rtol=1e-6, atol=0
    )
    grads = []
    for scores in (logits.double(), logits.double() * (1 + 1e-16 * noise.double())):
        leaf = scores.requires_grad_()
        grads += torch.autograd.grad(lovasz_softmax_loss(leaf, labels), leaf)
    torch.testing.assert_close(grads[0], grads[1], rtol=0, atol=1e-9 * float(grads[0].abs().max()))
