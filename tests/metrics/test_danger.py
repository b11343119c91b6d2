"""Dangerous confusions against hand-made matrices and pictures, and a loop over components."""

import json

import numpy as np
import pytest
import torch
from scipy.ndimage import label as find_components

from mmstreet.files.confusion_scores import iou_per_class, mean_present
from mmstreet.labels import BDD100K_SEM19, CAMVID11, STREET6
from mmstreet.metrics.danger import SIZES, count_objects, group_distances, mean_cost, safe_iou_per_class, safe_mean_iou
from mmstreet.metrics.dangerous_confusions import DangerousConfusionMetric

GROUPS = ("flat", "flat", "human", "human")  # road, sidewalk, person, rider
IMPORTANT = (2, 3)


def confusion(**moved):
    """Ten right pixels of each class, plus ``t0p1=3``: three pixels of class 0 predicted as 1."""
    counts = np.zeros((5, 5), np.int64)
    counts[range(4), range(4)] = 10
    for name, pixels in moved.items():
        counts[int(name[1]), int(name[3])] += pixels
    return counts


def test_the_tree_of_groups_and_classes():
    assert group_distances(GROUPS).tolist() == [[0, 0.5, 1, 1], [0.5, 0, 1, 1], [1, 1, 0, 0.5], [1, 1, 0.5, 0]]


def test_without_a_confusion_of_important_classes_it_is_the_miou():
    counts = confusion(t0p1=4, t1p0=2)
    assert safe_mean_iou(counts, group_distances(GROUPS), IMPORTANT) == pytest.approx(mean_present(iou_per_class(counts)))


@pytest.mark.parametrize(
    ("moved", "label", "expected"),
    [
        ({"t2p0": 4}, 2, (10 - 4) / 14),  # person as road: all of it
        ({"t2p3": 4}, 2, (10 - 0.5 * 4) / 14),  # person as rider: half
        ({"t0p2": 4}, 0, (10 - 4) / 14),  # road as person: a false alarm of an important class
        ({"t0p1": 4}, 0, 10 / 14),  # road as sidewalk: no danger
        ({"t2p4": 4}, 2, (10 - 4) / 14),  # person as no class
        ({"t0p4": 4}, 0, 10 / 14),
        ({"t2p0": 30}, 2, (10 - 30) / 40),  # more dangerous than right
    ],
)
def test_what_a_confusion_costs_by_hand(moved, label, expected):
    assert safe_iou_per_class(confusion(**moved), group_distances(GROUPS), IMPORTANT)[label] == pytest.approx(expected)


def test_it_falls_with_the_distance():
    values = []
    for distance in (0, 0.25, 0.5, 1):
        distances = group_distances(GROUPS)
        distances[2, 0] = distance
        values.append(safe_mean_iou(confusion(t2p0=5), distances, IMPORTANT))
    assert values == sorted(values, reverse=True)
    assert len(set(values)) == 4
    assert values[0] == pytest.approx(mean_present(iou_per_class(confusion(t2p0=5))))


def test_an_absent_class_is_nan_and_distances_are_checked():
    counts = confusion()
    counts[3] = counts[:, 3] = 0
    assert np.isnan(safe_iou_per_class(counts, group_distances(GROUPS), IMPORTANT)).tolist() == [False, False, False, True]
    for wrong in (np.ones((4, 4)), np.full((4, 4), 2.0) * (1 - np.eye(4)), np.zeros((3, 3))):
        with pytest.raises(ValueError, match="distances must be 4 x 4 numbers from 0 to 1"):
            safe_mean_iou(counts, wrong, IMPORTANT)


def test_the_cost_is_the_mean_over_labelled_pixels():
    costs = np.zeros((4, 4))
    costs[2, 0] = 100
    counts = confusion(t2p0=4, t4p0=7)
    assert mean_cost(counts, costs) == pytest.approx(400 / 44)


def test_an_object_is_found_with_half_of_it_and_false_with_less_than_a_tenth_of_truth():
    labels, preds = np.zeros((40, 80), int), np.zeros((40, 80), int)
    labels[0:4, 0:5] = 1  # 20 pixels, half found
    preds[0:2, 0:5] = 1
    labels[10:14, 0:5] = 1  # 20 pixels, nine found
    preds[10, 0:5] = preds[11, 0:4] = 1
    labels[20, 0:9] = 1  # nine pixels are no object
    preds[30:34, 0:5] = 1  # nothing beneath
    labels[30, 30] = labels[30, 31] = 1
    preds[30:34, 30:35] = 1  # two of twenty, a tenth, beneath
    labels[20:30, 60:70] = 255
    preds[20:30, 60:70] = 1  # on ignored pixels
    found, missed, confirmed, false_alarms = count_objects(labels, preds, [1])[0, 0]
    assert (found, missed) == (1, 1)
    # Predicted objects of ten pixels and more: the first; the two at the bottom. The nine pixels are none.
    assert (confirmed, false_alarms) == (2, 1)


def test_objects_equal_a_loop_over_components_of_every_size():
    rng = np.random.default_rng(0)
    blocks = np.kron(rng.integers(0, 3, (6, 6)), np.ones((40, 40), int))
    labels, preds = blocks.copy(), np.where(np.kron(rng.random((24, 24)) < 0.7, np.ones((10, 10), bool)), blocks, 0)
    labels[rng.random(labels.shape) < 0.05] = 255
    counts = count_objects(labels, preds, [1, 2])
    limits = [*SIZES.values(), 10**9]
    for place, class_id in enumerate((1, 2)):
        expected = np.zeros((3, 4), int)
        for column, mask, other, least in (
            (0, labels == class_id, preds == class_id, 0.5),
            (2, (preds == class_id) & (labels != 255), labels == class_id, 0.1),
        ):
            parts, number = find_components(mask, np.ones((3, 3)))
            for i in range(1, number + 1):
                part = parts == i
                for size in range(3):
                    if limits[size] <= part.sum() < limits[size + 1]:
                        expected[size, column + int(other[part].mean() < least)] += 1
        assert np.array_equal(counts[place], expected)
        assert expected.sum() > 3


def make_sample(labels, preds):
    maps = {"gt_sem_seg": {"data": torch.tensor(labels)[None]}, "pred_sem_seg": {"data": torch.tensor(preds)[None]}}
    return {"img_path": "a.jpg", "seg_map_path": "a.png", **maps}


def evaluate(samples, meta=BDD100K_SEM19.metainfo, **settings):
    metric = DangerousConfusionMetric(**settings)
    metric.dataset_meta = meta
    for sample in samples:
        metric.process(None, [sample])
    return metric, metric.evaluate(len(samples))


def test_the_metric_says_who_is_taken_for_road_and_where():
    road, person = (BDD100K_SEM19.index(name) for name in ("road", "person"))
    labels = np.full((9, 10), road)
    labels[:, :5] = person
    preds = labels.copy()
    preds[0:3, 0:4] = road  # far: 12 of 15
    preds[6, 0:3] = road  # near: 3 of 15
    metric, values = evaluate([make_sample(labels, preds)], costs={"person": {"road": 2.0}})
    (row,) = metric.report["taken_for_road"]
    assert row == {"class": "person", "pixels": 15, "share": {"upper third": 80.0, "middle third": 0.0, "lower third": 20.0}}
    assert values["danger/cost"] == pytest.approx(2 * 15 / 90)
    assert values["danger/Safe_mIoU"] == pytest.approx(100 * ((45 / 60) + (30 - 15) / 45) / 2)
    assert values["danger/recall/person"] == 100  # one object, two thirds of it found
    assert metric.report["important"] == ["person", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle"]
    assert {row["class"] for row in metric.report["objects"]} == set(STREET6.names)
    json.dumps(metric.files(), allow_nan=False)


def test_a_data_set_without_the_six_classes_has_its_road_users_counted():
    labels = np.zeros((4, 4), int)
    metric, _ = evaluate([make_sample(labels, labels)], CAMVID11.metainfo)
    assert [row["class"] for row in metric.report["objects"]] == ["pole", "car", "pedestrian", "bicyclist"]


def test_images_and_processes_are_added_up():
    rng = np.random.default_rng(0)
    samples = [make_sample(rng.integers(0, 6, (30, 30)), rng.integers(0, 6, (30, 30))) for _ in range(3)]
    single = [evaluate([sample], STREET6.metainfo)[0].report["objects"] for sample in samples]
    together = evaluate(samples, STREET6.metainfo)[0].report["objects"]
    for i, row in enumerate(together):
        for name in ("objects", "predicted"):
            assert row[name] == sum(rows[i][name] for rows in single)


def test_what_cannot_be_measured_is_named():
    sample = make_sample(np.zeros((3, 3), int), np.zeros((3, 3), int))
    with pytest.raises(ValueError, match="needs groups of classes"):
        evaluate([sample], {"classes": ("cat", "dog")})
    with pytest.raises(ValueError, match="there is no class 'tram'"):
        evaluate([sample], important=["tram"])
    with pytest.raises(ValueError, match="there is no class 'tram'"):
        evaluate([sample], costs={"person": {"tram": 1}})
    with pytest.raises(ValueError, match=r"a\.png: label id 19"):
        evaluate([make_sample(np.full((3, 3), 19), np.zeros((3, 3), int))])
