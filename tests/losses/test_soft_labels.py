"""Labels resized by area against counting, and the cross entropy with them against torch's."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmstreet.losses.overlap import soft_jaccard_loss
from mmstreet.losses.soft_labels import class_shares, soft_label_loss
from tests.helpers.loss_contract import LossContract, random_case


class TestSoftLabelLoss(LossContract):
    """With cells of two pixels; a perfect prediction has a loss above 0 where a cell shows two classes."""

    def loss(self, logits, labels):
        return soft_label_loss(logits, labels, cell_px=2)

    def test_perfect_beats_wrong(self):
        labels = torch.tensor([[[0, 0, 1, 1], [0, 255, 1, 1]]])
        truth = F.one_hot(labels.where(labels != 255, 0), 4).movedim(-1, 1).float()
        assert self.loss(12 * truth, labels) < 0.01
        assert self.loss(12 * truth, labels) < self.loss(0 * truth, labels) < self.loss(12 * truth.roll(1, 1), labels)


@pytest.mark.parametrize("cell", [1, 2, 3, 4])
def test_the_target_of_a_cell_is_the_share_of_each_class_exactly(cell):
    labels = torch.tensor(np.random.default_rng(0).choice([0, 1, 2, 255], (2, 12, 24)))
    shares, valid = class_shares(labels, num_classes=3, cell_px=cell)
    for b, y, x in np.ndindex(2, 12 // cell, 24 // cell):
        own = labels[b, y * cell : (y + 1) * cell, x * cell : (x + 1) * cell]
        count = int((own != 255).sum())
        assert valid[b, y, x] == count
        for c in range(3):
            assert shares[b, c, y, x] == np.float32(int((own == c).sum())) / np.float32(max(count, 1))


def test_a_cell_at_the_border_has_the_pixels_that_there_are():
    shares, valid = class_shares(torch.tensor([[[0, 0, 1], [0, 1, 1], [1, 1, 0]]]), num_classes=2, cell_px=2)
    assert valid.tolist() == [[[4, 2], [2, 1]]]
    assert shares[0, 1].tolist() == [[0.25, 1.0], [1.0, 0.0]]


def test_the_loss_is_torchs_cross_entropy_with_soft_targets_weighted_by_valid_pixels():
    logits, labels = random_case(dtype=torch.float64)
    labels[labels == 255] = 1
    labels[0, 0, 0] = labels[1, :2, :2] = 255
    weight = torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)
    total = 0.0
    for b, y, x in np.ndindex(2, 2, 3):
        own, score = labels[b, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2], logits[b, :, 2 * y : 2 * y + 2, 2 * x : 2 * x + 2]
        valid = own != 255
        if valid.any():
            target = F.one_hot(own[valid], 4).double().mean(0)
            total += valid.sum() * F.cross_entropy(score[:, valid].mean(1)[None], target[None], weight=weight, reduction="sum")
    torch.testing.assert_close(soft_label_loss(logits, labels, cell_px=2, class_weight=weight), total / (labels != 255).sum())


def test_shares_are_soft_labels_of_the_jaccard_loss():
    _, labels = random_case()
    shares, _ = class_shares(labels, num_classes=4, cell_px=2)
    torch.testing.assert_close(soft_jaccard_loss(shares.clamp_min(1e-30).log(), shares), torch.tensor(0.0), atol=1e-6, rtol=0)


def test_a_cell_without_size_is_refused():
    with pytest.raises(ValueError, match="cell_px must be >= 1, got 0"):
        soft_label_loss(*random_case(), cell_px=0)
