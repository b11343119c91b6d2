"""Several views of one image lead back to it, and their objects are united."""

import numpy as np
import pytest

from mmstreet.files.instances import Instances
from mmstreet.predict.views import View, make_views, mean_scores, unite_instances


def objects(*boxes, classes=None, scores=None, size_hw=(10, 20)):
    masks = np.zeros((len(boxes), *size_hw), bool)
    for mask, (left, top, right, bottom) in zip(masks, boxes):
        mask[top:bottom, left:right] = True
    count = len(boxes)
    return Instances(
        masks,
        np.array(boxes, np.float32).reshape(-1, 4),
        np.array(classes if classes is not None else [0] * count, np.int64),
        np.array(scores if scores is not None else np.linspace(0.9, 0.5, count), np.float32),
    )


def test_views_are_every_scale_with_and_without_a_mirror():
    assert make_views(flip=False, scales=[1.0]) == [View(1.0, False)]
    assert make_views(flip=True, scales=[0.5, 1]) == [View(0.5, False), View(0.5, True), View(1.0, False), View(1.0, True)]
    with pytest.raises(ValueError, match=r"scales must be one positive number or more, got \[0.0\]"):
        make_views(flip=False, scales=[0.0])


def test_undoing_a_mirror_gives_scores_and_objects_in_place():
    image = np.random.default_rng(0).integers(0, 255, (10, 20, 3), dtype=np.uint8)
    view = View(mirrored=True)
    shown = view.show(image)
    np.testing.assert_array_equal(shown[:, 0], image[:, -1])
    np.testing.assert_array_equal(view.undo_scores(shown.transpose(2, 0, 1)), image.transpose(2, 0, 1))
    there = objects((2, 3, 7, 9))
    mirrored = Instances(there.masks[:, :, ::-1], np.array([[13, 3, 18, 9]], np.float32), there.class_ids, there.scores)
    back = view.undo_instances(mirrored, 20)
    np.testing.assert_array_equal(back.masks, there.masks)
    np.testing.assert_array_equal(back.boxes_xyxy, there.boxes_xyxy)


def test_the_mean_of_scores_is_the_mean():
    scores = [np.full((2, 1, 1), value, np.float32) for value in (0.1, 0.4, 0.7)]
    np.testing.assert_allclose(mean_scores(scores), np.full((2, 1, 1), 0.4), rtol=1e-6)


def test_an_object_seen_twice_is_kept_once_by_its_surer_look():
    first = objects((0, 0, 10, 10), (12, 0, 18, 8), scores=[0.6, 0.8])
    second = objects((0, 0, 10, 9), (12, 0, 18, 8), classes=[0, 1], scores=[0.9, 0.7])
    united = unite_instances([first, second], limit=10)
    assert united.scores.tolist() == pytest.approx([0.9, 0.8, 0.7])  # the one of another class stays
    assert united.class_ids.tolist() == [0, 0, 1]
    assert united.masks[0].sum() == 90
    assert len(unite_instances([first, second], limit=2)) == 2
    assert len(unite_instances([objects(), objects()], limit=2)) == 0
