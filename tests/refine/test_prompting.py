"""Prompts point where they should, and the gates let only answers about the same region pass."""

import numpy as np
import pytest

from mmstreet.refine.components import Component, find_components
from mmstreet.refine.prompting import judge_masks, make_prompts
from mmstreet.refine.proposals import Masks

LABELS = np.zeros((40, 60), np.uint8)
LABELS[10:30, 20:40] = 1
LABELS[10:30, 34:40] = 2  # a region of another class inside the box of class 1, once it is grown
LABELS[14:26, 24:40] = 0  # opens class 1 into a C


def test_points_lie_inside_and_outside_and_padding_is_marked():
    components = find_components(LABELS, [1])
    prompts = make_prompts(components, LABELS, negatives=5)
    assert len(prompts) == len(components) == 1
    x, y = prompts.points_xy[0, 0].astype(int)
    assert LABELS[y, x] == 1
    kinds = prompts.point_labels[0].tolist()
    assert kinds[0] == 1
    assert kinds[1:] == sorted(kinds[1:], reverse=True)  # padding comes last
    assert set(kinds[1:]) == {0, -1}
    for (x, y), kind in zip(prompts.points_xy[0].astype(int), kinds):
        assert kind == -1 or (LABELS[y, x] == 1) == (kind == 1)
    assert prompts.mask_logits is None


def test_the_box_grows_by_five_per_cent():
    prompts = make_prompts([Component(1, (20, 10, 40, 30), np.ones((20, 20), bool))], LABELS)
    np.testing.assert_allclose(prompts.boxes_xyxy, [[19, 9, 41, 31]])
    assert prompts.points_xy.shape == (1, 1, 2)


def test_void_is_no_negative():
    labels = np.full((20, 20), 255, np.uint8)
    labels[5:15, 5:15] = 3
    assert make_prompts(find_components(labels, [3]), labels, negatives=2).point_labels.tolist() == [[1, -1, -1]]


def test_mask_prompts_are_log_odds_within_twenty():
    components = find_components(LABELS, [1])
    p1 = np.where(LABELS == 1, 1.0, 0.25).astype(np.float32)
    p1[0] = 0
    prompts = make_prompts(components, LABELS, probs=np.stack([1 - p1, p1]), class_ids=[0, 1])
    x1, y1, x2, y2 = prompts.mask_boxes_xyxy[0]
    inside = LABELS[y1:y2, x1:x2] == 1
    np.testing.assert_allclose(prompts.mask_logits[0], np.where(inside, 20, np.log(0.25 / 0.75)), rtol=1e-6)


def judged(mask, *, score=0.9, **gates):
    component = Component(1, (2, 2, 6, 6), np.ones((4, 4), bool))  # 16 pixels
    return judge_masks([component], Masks.from_full(mask[None], scores=np.array([score])), **gates)[0].verdict


def square(y1, y2, x1, x2):
    mask = np.zeros((20, 20), bool)
    mask[y1:y2, x1:x2] = True
    return mask


@pytest.mark.parametrize(
    ("mask", "gates", "verdict"),
    [
        (square(2, 6, 2, 6), {}, "accepted"),
        (square(2, 6, 2, 6), {"score": 0.6}, "refused, score: 0.60, 0.70 needed"),
        (square(2, 6, 2, 6), {"score": float("nan")}, "refused, score: nan, 0.70 needed"),
        (square(2, 6, 4, 8), {}, "refused, another region: IoU 0.33, 0.50 needed"),
        (square(0, 0, 0, 0), {}, "refused, another region: IoU 0.00, 0.50 needed"),
        (square(2, 10, 2, 8), {"min_iou": 0.3}, "refused, size: 3.00 of the region's area"),
        (square(2, 6, 2, 3), {"min_iou": 0.2}, "refused, size: 0.25 of the region's area"),
        (square(2, 10, 2, 6), {}, "accepted"),  # IoU 0.5 and twice the area: just so
        (square(2, 6, 2, 4), {}, "accepted"),  # IoU 0.5 and half the area
    ],
)
def test_each_gate_refuses_with_its_reason(mask, gates, verdict):
    assert judged(mask, **gates) == verdict


def test_a_source_that_does_not_answer_every_prompt_is_named():
    with pytest.raises(ValueError, match="gave 0 masks for 1 prompts"):
        judge_masks([Component(1, (0, 0, 1, 1), np.ones((1, 1), bool))], Masks.from_full(np.zeros((0, 4, 4), bool)))
