"""Pixels that are sampled without a wait keep what the plain functions promise."""

import pytest
import torch

from benchmarks.host_waits import cpu_waits
from mmstreet.models.device_sampling import sample_class_balanced_batch, sample_hard_batch, sample_uniform_batch

LABELS = torch.tensor([[0] * 60 + [1] * 30 + [2] * 4 + [255] * 6, [255] * 50 + [3] * 7 + [5] * 3 + [255] * 40])


def hard(labels, num, **settings):
    return sample_hard_batch(labels, num, lambda pixels: pixels.double(), **settings)


@pytest.mark.parametrize("sample", [sample_uniform_batch, sample_class_balanced_batch, hard])
@pytest.mark.parametrize("num", [2, 10, 25, 94])
def test_only_labelled_pixels_are_sampled_and_none_twice_while_there_are_enough(sample, num):
    torch.manual_seed(0)
    for _ in range(20):
        pixels = sample(LABELS, num)
        assert pixels.shape == (2, num)
        assert (LABELS.gather(1, pixels) != 255).all()
        assert len(set(pixels[0].tolist())) == num
        if num <= 10:
            assert len(set(pixels[1].tolist())) == num


def test_uniform_means_every_labelled_pixel_alike():
    torch.manual_seed(0)
    seen = torch.zeros(100)
    for _ in range(2000):
        seen[sample_uniform_batch(LABELS[:1], 10)[0]] += 1
    expected = 2000 * 10 / 94
    assert (seen[LABELS[0] == 255] == 0).all()
    assert (seen[LABELS[0] != 255] - expected).abs().max() < 5 * expected**0.5


def test_classes_get_equal_shares_and_a_small_one_gives_all():
    torch.manual_seed(0)
    taken = LABELS[:1].gather(1, sample_class_balanced_batch(LABELS[:1], 30))[0]
    counts = torch.bincount(taken, minlength=3)
    assert counts[2] == 4
    assert counts[:2].min() >= 10
    assert counts.sum() == 30


def test_with_few_pixels_classes_share_alike_with_replacement():
    torch.manual_seed(0)
    taken = LABELS[1:].gather(1, sample_class_balanced_batch(LABELS[1:], 40))[0]
    assert torch.bincount(taken, minlength=6)[[3, 5]].tolist() == [20, 20]


def test_hard_pixels_are_the_highest_of_the_candidates():
    torch.manual_seed(0)
    pixels = hard(LABELS[:1], 20, oversample=100, share=0.75)[0]
    assert set(range(79, 94)) <= set(pixels.tolist())  # the 15 of the highest score among all 94
    assert len(set(pixels.tolist())) == 20


@pytest.mark.parametrize("sample", [sample_uniform_batch, sample_class_balanced_batch, hard])
def test_an_image_without_labels_gives_some_pixels_and_nothing_waits(sample):
    labels = torch.full((2, 30), 255)
    labels[0, :5] = 1
    with cpu_waits([labels]) as waits:
        pixels = sample(labels, 8)
    assert not waits
    assert ((pixels >= 0) & (pixels < 30)).all()
    assert (pixels[0] < 5).all()
