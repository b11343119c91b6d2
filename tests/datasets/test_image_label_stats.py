import json

import pytest

from mmstreet.datasets.image_label_stats import describe_image_labels
from mmstreet.datasets.image_labels import ImageLabels


def test_three_images_counted_by_hand():
    stats = describe_image_labels(ImageLabels(("road", "car", "tree", "train"), {"a": (0, 1), "b": (0, 1, 2), "c": (0,), "d": ()}))
    assert stats["images"] == 4
    assert stats["mean_classes_per_image"] == 1.5
    assert stats["images_by_num_classes"] == [1, 1, 1, 1, 0]
    assert stats["positive"] == [3, 2, 1, 0]
    assert stats["negative"] == [1, 2, 3, 4]
    third = pytest.approx(1 / 3)
    assert stats["co_occurrence"] == [
        [None, pytest.approx(2 / 3), third, 0],
        [1, None, 0.5, 0],
        [1, 1, None, 0],
        [None, None, None, None],
    ]
    # 0, 0, 0 | 1/3 | 1/2 | 2/3 | 1, 1, 1
    assert stats["ratio_histogram"] == [3, 0, 0, 1, 0, 1, 1, 0, 0, 3]


def test_numbers_are_plain_json():
    labels = ImageLabels(("road", "car"), {"a": (0, 1)})
    assert json.loads(json.dumps(describe_image_labels(labels))) == describe_image_labels(labels)


def test_an_empty_set_has_no_mean():
    stats = describe_image_labels(ImageLabels(("road", "car"), {}))
    assert stats["mean_classes_per_image"] is None
    assert stats["positive"] == [0, 0]
    assert sum(stats["ratio_histogram"]) == 0
