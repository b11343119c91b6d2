"""Labels at the size of the image are those of torch's resized scores, pixel for pixel, whichever way they are found."""

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F

from mmstreet.files.argmax import first_argmax
from mmstreet.models import label_resizing
from mmstreet.models.label_resizing import label_resized


def expected(scores, size_hw, *, align_corners=False):
    return first_argmax(F.interpolate(scores[None], size_hw, mode="bilinear", align_corners=align_corners)[0].numpy())


def regions(seed, classes=19, hw=(32, 64), grain=2):
    """Scores as a network gives them: smooth, with regions of one class."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(0, 4, (classes, grain, 2 * grain)).astype(np.float32)
    return torch.from_numpy(np.stack([cv2.resize(score, hw[::-1], interpolation=cv2.INTER_CUBIC) for score in coarse]))


@pytest.fixture(autouse=True)
def borders_wherever_possible(monkeypatch):
    monkeypatch.setattr(label_resizing, "_ENLARGED_FROM", 1)
    monkeypatch.setattr(label_resizing, "_CLASSES_FROM", 1)


@pytest.fixture
def ways(monkeypatch):
    """How often labels were found by borders, and how often by resizing everything."""
    counted = {"borders": 0, "all": 0}
    by_borders = label_resizing._label_by_borders

    def count(*args):
        found = by_borders(*args)
        counted["all" if found is None else "borders"] += 1
        return found

    monkeypatch.setattr(label_resizing, "_label_by_borders", count)
    return counted


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size_hw", [(90, 160), (64, 128), (33, 65), (101, 64), (32, 200), (128, 257)])
def test_labels_are_those_of_resized_scores(size_hw, align_corners, ways):
    for seed in range(4):
        scores = regions(seed)
        want = expected(scores, size_hw, align_corners=align_corners)
        np.testing.assert_array_equal(label_resized(scores, size_hw, align_corners=align_corners), want)
    assert ways["borders"] == 4


def test_the_class_between_two_others_is_found_though_no_neighbour_is_of_it():
    scores = torch.tensor([[[10.0, 0.0]], [[0.0, 10.0]], [[8.0, 8.0]]])
    found = label_resized(scores, (1, 9))
    assert 2 in found
    np.testing.assert_array_equal(found, expected(scores, (1, 9)))


@pytest.mark.parametrize("step", [1.0, 0.25])
def test_equal_scores_go_to_the_first_class(step):
    for seed in range(6):
        scores = (regions(seed, classes=5) / step).round() * step  # many are equal
        np.testing.assert_array_equal(label_resized(scores, (70, 130)), expected(scores, (70, 130)))
    assert (label_resized(torch.zeros(3, 4, 5), (9, 11)) == 0).all()


def test_scores_as_near_as_rounding_go_as_torch_rounds_them(ways):
    for seed in range(8):
        scores = regions(seed, classes=4, hw=(24, 40), grain=2)
        rng = np.random.default_rng(seed)
        near = scores * (1 + torch.from_numpy(rng.choice([-1, 0, 1], scores.shape).astype(np.float32) * np.float32(2**-23)))
        both = torch.cat([scores, near])[torch.from_numpy(rng.permutation(8))]  # every class has a twin
        np.testing.assert_array_equal(label_resized(both, (61, 97)), expected(both, (61, 97)))
        away = both.clone()
        away[:, :, 8:] += 3 * torch.arange(8)[:, None, None]  # twins on the left only
        np.testing.assert_array_equal(label_resized(away, (61, 97)), expected(away, (61, 97)))
    assert ways["all"] > 0


def test_a_few_pixels_of_rivals_are_decided_by_torch(ways):
    scores = regions(5, classes=3)
    scores[2] -= 50
    mirrored = torch.cat([scores, scores.flip(2)])[torch.tensor([0, 3, 1, 4])]  # equal along the middle line
    np.testing.assert_array_equal(label_resized(mirrored, (96, 193)), expected(mirrored, (96, 193)))
    assert ways["borders"] + ways["all"] == 1


@pytest.mark.parametrize("scores", [torch.randn(7, 20, 30), torch.randn(1, 5, 6), torch.randn(256, 8, 8), 1e30 * torch.randn(3, 9, 9)])
@pytest.mark.parametrize("size_hw", [(41, 63), (20, 30), (5, 6), (7, 90), (1, 1)])
def test_noise_and_any_size_and_count_give_the_same(scores, size_hw):
    np.testing.assert_array_equal(label_resized(scores, size_hw), expected(scores, size_hw))


def test_views_of_padded_scores_and_half_precision_are_taken_too():
    scores = regions(1)
    np.testing.assert_array_equal(label_resized(scores[:, 3:30, 5:], (80, 140)), expected(scores[:, 3:30, 5:], (80, 140)))
    last = scores[None].contiguous(memory_format=torch.channels_last)[0]
    np.testing.assert_array_equal(label_resized(last, (80, 140)), expected(last, (80, 140)))
    half = scores.to(torch.bfloat16)
    want = first_argmax(F.interpolate(half[None], (80, 140), mode="bilinear")[0].float().numpy())
    np.testing.assert_array_equal(label_resized(half, (80, 140)), want)
