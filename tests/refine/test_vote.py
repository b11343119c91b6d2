"""Votes inside boxes give what votes over whole maps give; ties, void and protected classes are left alone."""

import numpy as np
import pytest

from mmstreet.refine.proposals import Masks
from mmstreet.refine.vote import keep_protected, vote_by_mask
from tests.helpers.refine_oracles import random_prediction, vote_on_full_maps


def blobs(rng, count, size_hw):
    """Ellipses of different areas, bool ``[count, H, W]``."""
    y, x = np.mgrid[: size_hw[0], : size_hw[1]]
    masks, areas = [], set()
    while len(masks) < count:
        cy, cx, ry, rx = rng.random(4) * [*size_hw, 12, 20]
        mask = ((y - cy) / (ry + 1)) ** 2 + ((x - cx) / (rx + 1)) ** 2 <= 1
        if mask.sum() not in areas:
            areas.add(mask.sum())
            masks.append(mask)
    return np.array(masks)


def test_the_majority_takes_the_mask():
    labels = np.zeros((10, 10), np.uint8)
    labels[:, 6:] = 1  # 60 against 40
    voted, reports = vote_by_mask(labels, Masks.from_full(np.ones((1, 10, 10), bool)))
    assert (voted == 0).all()
    assert (reports[0].verdict, reports[0].class_id, reports[0].area_px) == ("accepted", 0, 100)


@pytest.mark.parametrize("purity", [0.0, 0.5, 0.8])
def test_votes_inside_boxes_equal_votes_over_whole_maps(purity):
    rng = np.random.default_rng(3)
    labels = random_prediction(rng, 5, (40, 60), block=20).argmax(0).astype(np.uint8)
    labels[rng.random(labels.shape) < 0.1] = 255
    full = blobs(rng, 25, labels.shape)
    voted, reports = vote_by_mask(labels, Masks.from_full(full), purity=purity)
    np.testing.assert_array_equal(voted, vote_on_full_maps(labels, full, purity))
    assert any(report.accepted for report in reports)
    assert (voted != labels).any()
    np.testing.assert_array_equal(voted == 255, labels == 255)


def test_small_masks_lie_over_large_ones_whatever_their_order():
    rng = np.random.default_rng(4)
    labels = rng.integers(0, 4, (40, 60)).astype(np.uint8)
    full = blobs(rng, 12, labels.shape)
    expected = vote_by_mask(labels, Masks.from_full(full), purity=0)[0]
    for _ in range(5):
        np.testing.assert_array_equal(vote_by_mask(labels, Masks.from_full(rng.permutation(full)), purity=0)[0], expected)


def test_a_soft_vote_sums_probabilities():
    probs = np.array([[[0.55, 0.55, 0.05]], [[0.45, 0.45, 0.95]]], np.float32)  # two pixels say 0 hesitantly, one says 1 firmly
    labels = np.array([[4, 4, 7]], np.uint8)
    mask = Masks.from_full(np.ones((1, 1, 3), bool))
    assert vote_by_mask(labels, mask)[0].tolist() == [[4, 4, 4]]
    assert vote_by_mask(labels, mask, probs=probs, class_ids=[4, 7])[0].tolist() == [[7, 7, 7]]


@pytest.mark.parametrize(
    ("row", "verdict"),
    [
        ([0, 0, 1, 1], "refused, tie"),
        ([255, 255, 255, 255], "refused, no labelled pixel"),
        ([0, 0, 1, 2], "accepted"),
        ([0, 0, 1, 2, 3], "refused, mixed: its largest class has 0.40 of it, 0.50 needed"),
        ([0, 0, 1, 255], "accepted"),
    ],
)
def test_a_mask_without_clear_majority_changes_nothing(row, verdict):
    labels = np.array([row], np.uint8)
    voted, reports = vote_by_mask(labels, Masks.from_full(np.ones((1, 1, len(row)), bool)))
    assert reports[0].verdict == verdict
    if verdict == "accepted":
        np.testing.assert_array_equal(voted, np.where(labels == 255, 255, 0))
    else:
        np.testing.assert_array_equal(voted, labels)


def test_masks_of_another_image_are_refused():
    with pytest.raises(ValueError, match=r"image of \[2, 2\], the label map is \[3, 3\]"):
        vote_by_mask(np.zeros((3, 3), np.uint8), Masks.from_full(np.ones((1, 2, 2), bool)))


def test_protected_classes_gain_pass_among_themselves_but_do_not_lose():
    before = np.array([0, 5, 5, 5, 6], np.uint8)
    after = np.array([5, 0, 6, 0, 6], np.uint8)
    kept, count = keep_protected(before, after, [5, 6])
    assert (kept.tolist(), count) == ([5, 5, 6, 5, 6], 2)
    freed, count = keep_protected(before, after, [5, 6], free=np.array([False, True, False, False, False]))
    assert (freed.tolist(), count) == ([5, 0, 6, 5, 6], 1)
    assert keep_protected(before, after, [])[0].tolist() == after.tolist()


def test_frozen_classes_end_as_they_were():
    before = np.array([0, 5, 5, 6, 6, 1], np.uint8)
    after = np.array([5, 0, 6, 5, 0, 2], np.uint8)
    kept, count = keep_protected(before, after, [], frozen=[5])
    assert (kept.tolist(), count) == ([0, 5, 5, 6, 0, 2], 4)
    kept, count = keep_protected(before, after, [6], frozen=[5], free=np.ones(6, bool))
    assert (kept.tolist(), count) == ([0, 5, 5, 6, 0, 2], 4)
    kept, count = keep_protected(before, after, [6], frozen=[5])
    assert (kept.tolist(), count) == ([0, 5, 5, 6, 6, 2], 5)
