"""Labels at the size of the image are those of torch's resized scores, pixel for pixel, whichever way they are found."""

import math
from collections import Counter

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


@pytest.fixture(autouse=True, params=["numpy", "numba"])
def small_ones_too(monkeypatch, request):
    if request.param == "numba":
        pytest.importorskip("numba")
    monkeypatch.setattr(label_resizing, "COMPILED_FROM", 0 if request.param == "numba" else math.inf)
    monkeypatch.setattr(label_resizing, "_ENLARGED_FROM", 1)
    monkeypatch.setattr(label_resizing, "_CLASSES_FROM", 1)


@pytest.fixture
def resized_maps(monkeypatch):
    """How many maps were resized to the image, in turn."""
    counted, resize = [], label_resizing._resize
    monkeypatch.setattr(label_resizing, "_resize", lambda scores, *args: counted.append(len(scores)) or resize(scores, *args))
    return counted


@pytest.mark.parametrize("align_corners", [False, True])
@pytest.mark.parametrize("size_hw", [(90, 160), (64, 128), (33, 65), (101, 64), (32, 200), (128, 257)])
def test_labels_are_those_of_resized_scores(size_hw, align_corners, resized_maps):
    for seed in range(4):
        scores = regions(seed)
        want = expected(scores, size_hw, align_corners=align_corners)
        np.testing.assert_array_equal(label_resized(scores, size_hw, align_corners=align_corners), want)
    assert max(resized_maps, default=0) < 19


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


def test_scores_as_near_as_rounding_go_as_torch_rounds_them(resized_maps):
    for seed in range(8):
        scores = regions(seed, classes=4, hw=(24, 40), grain=2)
        rng = np.random.default_rng(seed)
        near = scores * (1 + torch.from_numpy(rng.choice([-1, 0, 1], scores.shape).astype(np.float32) * np.float32(2**-23)))
        both = torch.cat([scores, near])[torch.from_numpy(rng.permutation(8))]  # every class has a twin
        np.testing.assert_array_equal(label_resized(both, (61, 97)), expected(both, (61, 97)))
        away = both.clone()
        away[:, :, 8:] += 3 * torch.arange(8)[:, None, None]  # twins on the left only
        np.testing.assert_array_equal(label_resized(away, (61, 97)), expected(away, (61, 97)))
    assert 8 in resized_maps  # twins everywhere: not a few pixels


def test_a_few_pixels_of_rivals_are_decided_by_torch(resized_maps):
    scores = regions(5, classes=3)
    scores[2] -= 50
    mirrored = torch.cat([scores, scores.flip(2)])[torch.tensor([0, 3, 1, 4])]  # equal along the middle line
    np.testing.assert_array_equal(label_resized(mirrored, (96, 193)), expected(mirrored, (96, 193)))
    assert resized_maps == [4]


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


def test_the_loops_are_loaded_once_many_pixels_were_labelled(monkeypatch):
    pytest.importorskip("numba")
    loaded, real = [], label_resizing.require
    monkeypatch.setattr(label_resizing, "COMPILED_FROM", 3 * 90 * 160)
    monkeypatch.setattr(label_resizing, "_labelled", Counter())
    monkeypatch.setattr(label_resizing, "require", lambda name, extra: loaded.append((name, extra)) or real(name, extra=extra))
    for _ in range(5):
        label_resized(regions(0), (90, 160))
    assert loaded == [("mmstreet.models.label_resizing_numba", "fast")] * 2


def test_without_numba_nothing_changes(monkeypatch):
    monkeypatch.setattr(label_resizing, "COMPILED_FROM", 0)
    monkeypatch.setattr(label_resizing, "installed", lambda name: False)
    np.testing.assert_array_equal(label_resized(regions(0), (90, 160)), expected(regions(0), (90, 160)))
