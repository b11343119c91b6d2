"""Boundary IoU equals the definition written out class by class with erosions."""

import numpy as np
import pytest
import torch
from scipy import ndimage

from mmstreet.files.confusion_scores import iou_per_class
from mmstreet.metrics.functional import boundary_confusion


def boundary_iou_by_erosion(labels, preds, num_classes, radius):
    """IoU of the bands that erosion with a square takes off each class; what is ignored or outside the image erodes nothing."""
    void, square = labels == 255, np.ones((3, 3), bool)

    def band(ids, c):
        inner = ndimage.binary_erosion((ids == c) | void, square, iterations=radius, border_value=1)
        return (ids == c) & ~inner & ~void

    ious = []
    for c in range(num_classes):
        truth, predicted = band(labels, c), band(preds, c)
        either = (truth | predicted).sum()
        ious.append((truth & predicted).sum() / either if either else np.nan)
    return np.array(ious)


def blobs(rng, size_hw, classes):
    noise = np.array([ndimage.gaussian_filter(rng.normal(size=size_hw), 3) for _ in range(classes)])
    return noise.argmax(0)


@pytest.mark.parametrize("radius", [1, 3, 5])
@pytest.mark.parametrize("seed", range(4))
def test_it_equals_erosion_class_by_class(radius, seed):
    rng = np.random.default_rng(seed)
    labels, preds = blobs(rng, (37, 52), 4), blobs(rng, (37, 52), 5)
    labels[rng.random(labels.shape) < 0.02] = 255
    labels[10:20, 30:45] = 255
    confusion = boundary_confusion(torch.from_numpy(labels), torch.from_numpy(preds), num_classes=5, radius_px=radius).numpy()
    np.testing.assert_allclose(iou_per_class(confusion), boundary_iou_by_erosion(labels, preds, 5, radius), rtol=1e-12)
    assert confusion.sum() == (labels != 255).sum()


def test_equal_maps_have_boundary_iou_one_and_a_flat_map_has_none():
    labels = torch.from_numpy(blobs(np.random.default_rng(0), (30, 40), 3))
    iou = iou_per_class(boundary_confusion(labels, labels, num_classes=3).numpy())
    np.testing.assert_array_equal(iou, 1)
    flat = torch.zeros_like(labels)
    assert np.isnan(iou_per_class(boundary_confusion(flat, flat, num_classes=3).numpy())).all()


def test_a_shift_costs_boundary_iou_more_than_iou():
    labels = torch.zeros(60, 60, dtype=torch.int64)
    labels[10:50, 10:50] = 1
    preds = labels.roll(2, 1)
    boundary = iou_per_class(boundary_confusion(labels, preds, num_classes=2).numpy())[1]
    assert boundary < 0.75 < 40 * 38 / (40 * 42)


def test_what_is_predicted_on_ignored_pixels_is_irrelevant():
    rng = np.random.default_rng(1)
    labels, preds = (torch.from_numpy(blobs(rng, (30, 40), 3)) for _ in range(2))
    labels[8:20, 5:25] = 255
    other = preds.clone()
    other[labels == 255] = torch.from_numpy(rng.integers(0, 3, int((labels == 255).sum())))
    first, second = (boundary_confusion(labels, x, num_classes=3) for x in (preds, other))
    assert torch.equal(first, second)


def test_background_has_a_boundary_but_no_score():
    labels = torch.tensor([[0, 0, 0, 0, 2, 2, 2, 2]])
    preds = torch.tensor([[0, 0, 0, 0, 0, 2, 2, 2]])
    confusion = boundary_confusion(labels, preds, num_classes=2, radius_px=1, background=True)
    assert confusion[0].tolist() == [0, 0, 1]  # the true edge of class 0, and the prediction has its edge elsewhere
    assert confusion[2].tolist() == [1, 0, 6]


@pytest.mark.parametrize(
    ("labels", "settings", "message"),
    [
        (torch.zeros(1, 4, 4, dtype=torch.int64), {}, "one map"),
        (torch.zeros(4, 4, dtype=torch.int64), {"radius_px": 0}, "at least 1"),
        (torch.full((4, 4), 7), {}, "label id 7"),
    ],
)
def test_bad_maps_are_refused(labels, settings, message):
    with pytest.raises(ValueError, match=message):
        boundary_confusion(labels, torch.zeros_like(labels), num_classes=2, **settings)
