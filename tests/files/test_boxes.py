import numpy as np

from mmstreet.files.boxes import box_ious, suppress_boxes


def suppress_plainly(boxes, scores, max_iou, groups):
    kept = []
    for i in sorted(range(len(boxes)), key=lambda i: -scores[i]):
        if all(groups[i] != groups[j] or box_ious(boxes[j], boxes[i : i + 1])[0] <= max_iou for j in kept):
            kept.append(i)
    return kept


def test_overlaps_are_areas_and_empty_boxes_have_none():
    others = np.array([[2, 0, 6, 4.0], [4, 4, 5, 5.0], [1, 1, 1, 1.0]])
    assert box_ious(np.array([0, 0, 4, 4.0]), others).tolist() == [8 / 24, 0, 0]
    assert box_ious(np.zeros(4), np.zeros((1, 4))).tolist() == [0]


def test_suppression_keeps_the_best_of_each_group():
    rng = np.random.default_rng(0)
    low = rng.integers(0, 20, (60, 2))
    boxes = np.concatenate([low, low + rng.integers(1, 15, (60, 2))], 1).astype(float)
    scores, groups = rng.integers(0, 9, 60) / 10, rng.integers(0, 3, 60)
    assert suppress_boxes(boxes, scores, max_iou=0.4).tolist() == suppress_plainly(boxes, scores, 0.4, np.zeros(60))
    assert suppress_boxes(boxes, scores, max_iou=0.4, groups=groups).tolist() == suppress_plainly(boxes, scores, 0.4, groups)
    assert suppress_boxes(np.zeros((0, 4)), np.zeros(0), max_iou=0.5).tolist() == []
