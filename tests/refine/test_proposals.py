"""Masks as boxes with cut-outs hold what masks of the image's size hold."""

import numpy as np
import pytest

from mmstreet.refine.proposals import BoxDetector, MaskPredictor, MaskProposer, Masks
from mmstreet.refine.superpixels import SuperpixelMasks
from tests.helpers.refine_oracles import Answers, FixedBoxes


def paste(masks):
    full = np.zeros((len(masks), *masks.size_hw), bool)
    for mask, (x1, y1, x2, y2), crop in zip(full, masks.boxes_xyxy, masks.crops):
        mask[y1:y2, x1:x2] = crop
    return full


def test_cutting_and_pasting_gives_the_mask_back():
    full = np.random.default_rng(0).random((5, 7, 9)) < 0.1
    full[2] = False  # an empty mask keeps its place
    masks = Masks.from_full(full, scores=np.arange(5) / 5)
    np.testing.assert_array_equal(paste(masks), full)
    np.testing.assert_array_equal(masks.areas, full.sum((1, 2)))
    np.testing.assert_array_equal(paste(masks.select([3, 0])), full[[3, 0]])
    np.testing.assert_allclose(masks.select([3, 0]).scores, [0.6, 0])


def test_no_masks_are_masks():
    masks = Masks.from_full(np.zeros((0, 4, 4), bool))
    assert len(masks) == 0
    assert masks.boxes_xyxy.shape == (0, 4)
    assert len(masks.select([])) == 0


@pytest.mark.parametrize(
    ("boxes", "crop", "scores", "message"),
    [
        ([[0, 0, 5, 2]], np.ones((2, 5), bool), [1], "not within the image"),
        ([[0, 0, 2, 2]], np.ones((2, 3), bool), [1], r"as its box says, got bool \(2, 3\)"),
        ([[0, 0, 2, 2]], np.ones((2, 2)), [1], "got float64"),
        ([[0, 0, 2, 2]], np.ones((2, 2), bool), [1, 1], "'scores': 2"),
    ],
)
def test_masks_that_contradict_themselves_are_refused(boxes, crop, scores, message):
    with pytest.raises(ValueError, match=message):
        Masks(np.array(boxes), [crop], np.array(scores), (4, 4))


def test_the_protocols_tell_sources_apart():
    superpixels, answers = SuperpixelMasks(), Answers(None)
    assert isinstance(superpixels, MaskProposer)
    assert not isinstance(superpixels, MaskPredictor)
    assert isinstance(answers, MaskPredictor)
    assert not isinstance(answers, MaskProposer)
    assert isinstance(FixedBoxes(), BoxDetector)
