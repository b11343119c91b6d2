"""Region mutual information against covariances computed neighbourhood by neighbourhood in numpy."""

import numpy as np
import pytest
import torch

from mmstreet.losses.rmi import rmi_loss
from tests.helpers.loss_contract import LossContract, random_case


class TestRMILoss(LossContract):
    def loss(self, logits, labels):
        return rmi_loss(logits, labels, pool=1, eps=1e-2)

    def test_perfect_beats_wrong(self):
        logits, labels = random_case(self.num_classes)
        truth = torch.nn.functional.one_hot(labels.where(labels != 255, 0), self.num_classes).movedim(-1, 1).float() - 0.5
        perfect, wrong = self.loss(24 * truth, labels), self.loss(-24 * truth, labels)
        assert perfect < self.loss(logits, labels) < wrong


def rmi_plainly(logits, labels, eps):
    """The term of one image and class after another, from explicit 3×3 vectors."""
    total = 0.0
    for image, label in zip(logits.numpy(), labels.numpy()):
        valid = label != 255
        for c, score in enumerate(image):
            y, p = (label == c) * 1.0, valid / (1 + np.exp(-score))
            vectors = [
                np.array([m[i : i + 3, j : j + 3].ravel() for i in range(m.shape[0] - 2) for j in range(m.shape[1] - 2)]).T for m in (y, p)
            ]
            cov = np.cov(np.concatenate(vectors), bias=True)
            explained = cov[:9, 9:] @ np.linalg.inv(cov[9:, 9:] + eps * np.eye(9)) @ cov[9:, :9]
            total += 0.5 * np.linalg.slogdet(cov[:9, :9] - explained + eps * np.eye(9))[1] / 9
    return total / len(logits)


@pytest.mark.parametrize("eps", [5e-4, 1e-2])
def test_the_term_equals_explicit_covariances(eps):
    logits, labels = random_case(3, dtype=torch.float64)
    assert rmi_loss(logits, labels, pool=1, bce_weight=0.0, eps=eps).item() == pytest.approx(rmi_plainly(logits, labels, eps), rel=1e-8)


def test_pooling_averages_before_the_neighbourhoods():
    logits = torch.randn(1, 2, 9, 12, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    labels = torch.zeros(1, 9, 12, dtype=torch.int64)
    labels[:, :, 6:] = 1
    assert rmi_loss(logits, labels).isfinite()
    with pytest.raises(ValueError, match="smaller than a neighbourhood of 3"):
        rmi_loss(logits[:, :, :6], labels[:, :6])


def test_a_matrix_that_is_not_positive_is_refused_and_scores_that_are_not_finite_give_nan():
    logits, labels = random_case(3, dtype=torch.float64)
    with pytest.raises(ValueError, match="not positive definite; take an eps larger"):
        rmi_loss(logits, labels, pool=1, eps=-1.0)
    assert rmi_loss(logits * torch.nan, labels, pool=1).isnan()
