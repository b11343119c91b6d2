"""Fusion gives the map back for masks that equal their regions, does not depend on order, and lets removed pixels fall to the runner-up."""

import dataclasses

import numpy as np
import pytest

from mmstreet.refine.components import find_components
from mmstreet.refine.fusion import fuse_logits, fuse_priority
from mmstreet.refine.prediction import Prediction, read_prediction
from mmstreet.refine.proposals import Masks
from tests.helpers.refine_oracles import random_prediction

RANK = dict.fromkeys(range(10), 0) | {3: 2}


def by_priority(prediction, components, masks):
    return fuse_priority(prediction, components, masks, rank=RANK)


def full_masks(components, size_hw):
    full = np.zeros((len(components), *size_hw), bool)
    for mask, component in zip(full, components):
        mask[component.window] = component.crop
    return full


def street(*, with_probs, seed=0, classes=4, size_hw=(30, 44)):
    """A prediction, its regions, and for each a mask that is the region moved by a pixel or two."""
    rng = np.random.default_rng(seed)
    probs = random_prediction(rng, classes, size_hw, block=8)
    prediction = read_prediction(probs if with_probs else probs.argmax(0), size_hw=size_hw, num_classes=classes)
    components = find_components(prediction.labels, range(1, classes), min_area_px=12)
    shifted = [np.roll(mask, rng.integers(-2, 3, 2), (0, 1)) for mask in full_masks(components, size_hw)]
    return prediction, components, Masks.from_full(np.array(shifted), scores=rng.uniform(0.7, 1, len(components)))


@pytest.mark.parametrize("fuse", [fuse_logits, by_priority])
@pytest.mark.parametrize("with_probs", [True, False])
class TestBothFusions:
    def test_masks_that_equal_their_regions_change_nothing(self, fuse, with_probs):
        prediction, components, _ = street(with_probs=with_probs)
        assert len(components) > 5
        masks = Masks.from_full(full_masks(components, prediction.labels.shape))
        np.testing.assert_array_equal(fuse(prediction, components, masks), prediction.labels)
        some = [0, 2]  # neighbours of the same class are not asked about
        np.testing.assert_array_equal(fuse(prediction, [components[i] for i in some], masks.select(some)), prediction.labels)

    def test_no_region_changes_nothing(self, fuse, with_probs):
        prediction, _, masks = street(with_probs=with_probs)
        np.testing.assert_array_equal(fuse(prediction, [], masks.select([])), prediction.labels)

    def test_the_order_of_the_regions_has_no_influence(self, fuse, with_probs):
        prediction, components, masks = street(with_probs=with_probs)
        expected = fuse(prediction, components, masks)
        assert (expected != prediction.labels).any()
        for seed in range(5):
            order = np.random.default_rng(seed).permutation(len(components))
            fused = fuse(prediction, [components[i] for i in order], masks.select(order))
            np.testing.assert_array_equal(fused, expected)

    def test_void_stays_void_and_the_input_is_not_written_to(self, fuse, with_probs):
        prediction, components, masks = street(with_probs=with_probs)
        labels = prediction.labels.copy()
        labels[10:14, 5:30] = 255
        prediction = dataclasses.replace(prediction, labels=labels)
        components = find_components(labels, range(1, 4), min_area_px=12)
        masks = Masks.from_full(np.ones((len(components), *labels.shape), bool))
        before = labels.copy()
        fused = fuse(prediction, components, masks)
        np.testing.assert_array_equal(fused == 255, labels == 255)
        np.testing.assert_array_equal(labels, before)

    def test_pixels_outside_the_mask_fall_to_the_runner_up(self, fuse, with_probs):
        # a region of class 2 between class 0 on the left and class 1 on the right; the mask leaves out its right half
        labels = np.array([[0] * 4 + [2] * 8 + [1] * 4] * 6, np.uint8)
        probs = np.zeros((3, *labels.shape), np.float32)
        probs[2], probs[0], probs[1] = 0.1, 0.1, 0.8
        probs[:, :, :4] = np.array([0.8, 0.1, 0.1])[:, None, None]
        probs[:, :, 4:12] = np.array([0.15, 0.35, 0.5])[:, None, None]
        prediction = Prediction(labels, np.arange(3), probs if with_probs else None)
        mask = np.zeros(labels.shape, bool)
        mask[:, 4:8] = True
        fused = fuse(prediction, find_components(labels, [2], min_area_px=1), Masks.from_full(mask[None]))
        assert fused[0].tolist() == [0] * 4 + [2] * 4 + [1] * 8


def test_adding_to_log_probabilities_equals_the_formula_pixel_by_pixel():
    prediction, components, masks = street(with_probs=True, seed=5)
    logits = [np.random.default_rng(i).normal(size=crop.shape).astype(np.float32) * 3 for i, crop in enumerate(masks.crops)]
    masks = Masks(masks.boxes_xyxy, [logit > 0 for logit in logits], masks.scores, masks.size_hw, logits)
    height, width = prediction.labels.shape
    expected = prediction.labels.copy()
    for y in range(height):
        for x in range(width):
            scores = np.log(np.clip(prediction.probs[:, y, x].astype(float), 1e-5, 1))
            for i, c in enumerate(components):
                x1, y1, x2, y2 = c.box_xyxy
                dx, dy = max(1, 0.05 * (x2 - x1)), max(1, 0.05 * (y2 - y1))
                if not (np.floor(x1 - dx) <= x < np.ceil(x2 + dx) and np.floor(y1 - dy) <= y < np.ceil(y2 + dy)):
                    continue
                mx1, my1, mx2, my2 = masks.boxes_xyxy[i]
                m = logits[i][y - my1, x - mx1] if mx1 <= x < mx2 and my1 <= y < my2 else -np.inf
                gain = 2 / (1 + np.exp(-m)) - 1
                is_own = x1 <= x < x2 and y1 <= y < y2 and c.crop[y - y1, x - x1]
                if gain > 0 or is_own:
                    scores[prediction.class_ids.tolist().index(c.class_id)] += 2 * masks.scores[i] * gain
            expected[y, x] = prediction.class_ids[scores.argmax()]
    fused = fuse_logits(prediction, components, masks)
    assert (fused != prediction.labels).any()
    np.testing.assert_array_equal(fused, expected)


def test_a_higher_rank_is_assigned_over_a_lower_one():
    labels = np.array([[1, 1, 1, 3, 3, 0]], np.uint8)
    prediction = Prediction(labels, np.array([0, 1, 3]), None)
    components = find_components(labels, [1, 3], min_area_px=1)
    assert [c.class_id for c in components] == [1, 3]
    both = np.array([[[1, 1, 1, 1, 0, 0]], [[0, 0, 1, 1, 1, 0]]], bool)
    masks = Masks.from_full(both)
    assert fuse_priority(prediction, components, masks, rank={1: 0, 3: 1}).tolist() == [[1, 1, 3, 3, 3, 0]]
    assert fuse_priority(prediction, components, masks, rank={1: 1, 3: 0}).tolist() == [[1, 1, 1, 1, 3, 0]]


def test_a_region_with_nothing_but_void_around_keeps_its_pixels():
    labels = np.full((8, 8), 255, np.uint8)
    labels[2:6, 2:6] = 1
    labels[0, 0] = 0
    prediction = Prediction(labels, np.array([0, 1]), None)
    half = np.zeros((1, 8, 8), bool)
    half[0, 2:6, 2:4] = True
    for fuse in (fuse_logits, by_priority):
        np.testing.assert_array_equal(fuse(prediction, find_components(labels, [1], min_area_px=1), Masks.from_full(half)), labels)
