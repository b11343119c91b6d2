import pytest
import torch

from mmstreet.losses.boundary import boundary_loss, boundary_targets


def targets_plainly(labels):
    found = torch.full_like(labels, 255)
    for b, y, x in (labels != 255).nonzero().tolist():
        near = [(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)]
        inside = [labels[b, i, j] for i, j in near if 0 <= i < labels.shape[1] and 0 <= j < labels.shape[2]]
        found[b, y, x] = int(any(other not in (255, labels[b, y, x]) for other in inside))
    return found


def test_targets_equal_a_look_at_each_neighbour():
    labels = torch.randint(0, 3, (2, 9, 11), generator=torch.Generator().manual_seed(0))
    labels[torch.rand(labels.shape, generator=torch.Generator().manual_seed(1)) < 0.2] = 255
    assert torch.equal(boundary_targets(labels), targets_plainly(labels))


def test_the_loss_is_the_mean_over_valid_pixels():
    labels = torch.tensor([[[0, 1, 255]]])
    logits = torch.tensor([[[[0.0, 2.0, 9.0]]]], requires_grad=True)
    value = boundary_loss(logits, labels)  # both valid pixels are boundary: softplus(-0), softplus(-2)
    torch.testing.assert_close(value, (torch.tensor(0.0).neg().exp().log1p() + torch.tensor(-2.0).exp().log1p()) / 2)
    value.backward()
    assert logits.grad[0, 0, 0, 2] == 0
    nothing = boundary_loss(logits, torch.full_like(labels, 255))
    assert nothing == 0
    assert nothing.requires_grad


def test_two_channels_are_refused():
    with pytest.raises(ValueError, match=r"must be \[B, 1, H, W\]"):
        boundary_loss(torch.zeros(1, 2, 1, 3), torch.zeros(1, 1, 3, dtype=torch.int64))
