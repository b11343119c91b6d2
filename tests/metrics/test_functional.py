"""Counts against hand arithmetic, loops, scikit-learn and torchmetrics; formulas against the cases of their definitions."""

import numpy as np
import pytest
import torch
from sklearn.metrics import confusion_matrix as sklearn_confusion
from torchmetrics.functional.classification import multiclass_jaccard_index

from mmstreet.files import confusion_scores as S
from mmstreet.labels import BDD100K_SEM19
from mmstreet.metrics import functional as F
from tests.helpers.segmentation_oracle import class_iou, count_pairs


def random_maps(seed, *, num_classes=5, shape=(11, 13), preds_up_to=None, ignored=0.2):
    generator = torch.Generator().manual_seed(seed)
    labels = torch.randint(0, num_classes, shape, generator=generator)
    preds = torch.randint(0, preds_up_to or num_classes, shape, generator=generator)
    labels[torch.rand(shape, generator=generator) < ignored] = 255
    return labels, preds


@pytest.mark.parametrize("seed", range(5))
def test_counts_equal_scikit_learn(seed):
    labels, preds = random_maps(seed)
    valid = labels != 255
    expected = sklearn_confusion(labels[valid], preds[valid], labels=range(5))
    counts = F.confusion_matrix(labels, preds, num_classes=5)
    assert counts.dtype == torch.int64
    assert counts.shape == (6, 6)
    assert np.array_equal(counts[:5, :5], expected)
    assert counts[5].sum() == counts[:, 5].sum() == 0


@pytest.mark.parametrize("seed", range(3))
def test_counts_equal_the_loop_with_strange_predictions_and_background(seed):
    labels, preds = random_maps(seed, num_classes=6, preds_up_to=9)
    counts = F.confusion_matrix(labels, preds, num_classes=5, background=True)
    expected = torch.zeros(6, 6, dtype=torch.int64)
    for (label, pred), pixels in count_pairs([(labels.tolist(), preds.tolist())]).items():
        expected[label, min(pred, 5)] += pixels
    assert torch.equal(counts, expected)


def test_mean_iou_equals_torchmetrics():
    labels, preds = random_maps(0, shape=(3, 40, 40))
    counts = F.confusion_matrix(labels, preds, num_classes=5).numpy()
    expected = multiclass_jaccard_index(preds, labels, num_classes=5, ignore_index=255, average=None)
    assert S.iou_per_class(counts) == pytest.approx(expected.numpy(), rel=1e-6)


@pytest.mark.parametrize(
    ("dtype", "ignore_index"),
    [(torch.uint8, 255), (torch.uint8, 254), (torch.int16, -1), (torch.int16, 300), (torch.int32, 70_000), (torch.int64, -100)],
)
def test_every_integer_type_and_ignore_index_count_alike(dtype, ignore_index):
    labels, preds = random_maps(1)
    expected = F.confusion_matrix(labels, preds, num_classes=5)
    labels = torch.where(labels == 255, ignore_index, labels).to(dtype)
    assert torch.equal(F.confusion_matrix(labels, preds.to(dtype), num_classes=5, ignore_index=ignore_index), expected)


@pytest.mark.parametrize("num_classes", [1, 126, 127, 128, 254])
def test_every_pair_of_many_classes_counts_beside_ignored_pixels(num_classes):
    known = torch.tensor([*range(num_classes), 255])
    labels, preds = torch.meshgrid(known, torch.arange(num_classes + 1), indexing="ij")
    expected = torch.ones(num_classes + 1, num_classes + 1, dtype=torch.int64)
    expected[num_classes] = 0
    assert torch.equal(F.confusion_matrix(labels, preds, num_classes=num_classes), expected)


def test_the_maps_are_left_as_they_were():
    labels, preds = random_maps(2, preds_up_to=9)
    before = labels.clone(), preds.clone()
    F.confusion_matrix(labels, preds, num_classes=5)
    assert torch.equal(labels, before[0])
    assert torch.equal(preds, before[1])


def test_nothing_valid_counts_nothing():
    ignored = torch.full((4, 4), 255)
    assert not F.confusion_matrix(ignored, torch.zeros(4, 4, dtype=torch.int64), num_classes=3).any()
    assert not F.confusion_matrix(ignored[:0], ignored[:0], num_classes=3).any()


@pytest.mark.parametrize(("stray", "ignore_index"), [(5, 255), (200, 255), (-3, 255), (1000, 255), (255, -1), (6, 1000)])
def test_a_stray_label_is_named_with_its_place_and_count(stray, ignore_index):
    labels, preds = random_maps(3, ignored=0)
    labels[2, 7] = labels[9, 1] = stray
    with pytest.raises(ValueError, match=rf"label id {stray} in the labels .*0…4.*ignored \({ignore_index}\): 2 pixels, first at y=2, x=7"):
        F.confusion_matrix(labels, preds, num_classes=5, ignore_index=ignore_index)


def test_the_background_id_is_stray_unless_announced():
    labels, preds = torch.tensor([[0, 2]]), torch.tensor([[0, 1]])
    with pytest.raises(ValueError, match="label id 2"):
        F.confusion_matrix(labels, preds, num_classes=2)
    assert F.confusion_matrix(labels, preds, num_classes=2, background=True).tolist() == [[1, 0, 0], [0, 0, 0], [0, 1, 0]]
    with pytest.raises(ValueError, match="label id 3"):
        F.confusion_matrix(labels + 1, preds, num_classes=2, background=True)


def test_maps_that_cannot_be_compared_are_refused():
    ids = torch.zeros(4, 4, dtype=torch.int64)
    with pytest.raises(ValueError, match=r"labels are \(2, 4\) and the prediction is \(4, 4\)"):
        F.confusion_matrix(ids[:2], ids, num_classes=2)
    with pytest.raises(ValueError, match="must be integers"):
        F.confusion_matrix(ids, ids.float(), num_classes=2)
    with pytest.raises(ValueError, match="negative id -2"):
        F.confusion_matrix(ids, ids - 2, num_classes=2)
    with pytest.raises(ValueError, match="ignore_index=2 is also the id"):
        F.confusion_matrix(ids, ids, num_classes=2, ignore_index=2)


def worked_example():
    """Labels 0 0 1 11, predictions 1 0 1 12: IoU ½, ½, 0 and 0, all other classes absent."""
    return F.confusion_matrix(torch.tensor([0, 0, 1, 11]), torch.tensor([1, 0, 1, 12]), num_classes=19).numpy()


def test_worked_example_of_the_definitions():
    counts = worked_example()
    iou = S.iou_per_class(counts)
    assert iou[[0, 1, 11, 12]].tolist() == [0.5, 0.5, 0, 0]
    assert np.isnan(np.delete(iou, [0, 1, 11, 12])).all()
    assert S.mean_present(iou) == 0.25
    assert S.frequency_weighted_iou(counts) == (2 * 0.5 + 1 * 0.5 + 1 * 0) / 4
    assert S.pixel_accuracy(counts) == 0.5
    assert S.recall_per_class(counts)[[0, 1, 11]].tolist() == [0.5, 1, 0]
    assert np.isnan(S.recall_per_class(counts)[12])
    assert S.precision_per_class(counts)[[0, 1, 12]].tolist() == [1, 0.5, 0]
    by_group = S.iou_per_class(S.merge_classes(counts, list(BDD100K_SEM19.groups.values())))
    groups = dict(zip(BDD100K_SEM19.groups, by_group))
    assert groups["flat"] == groups["human"] == 1
    assert S.mean_present(by_group) == 1


def test_a_class_that_is_only_predicted_is_zero_or_absent_by_convention():
    counts = worked_example()
    assert S.mean_present(S.iou_per_class(counts, convention="bdd100k")) == pytest.approx((0.5 + 0.5 + 0) / 3)
    with pytest.raises(ValueError, match="unknown convention 'voc'"):
        S.iou_per_class(counts, convention="voc")


def test_predictions_of_no_class_are_misses_not_lost():
    counts = F.confusion_matrix(torch.tensor([0, 0, 0, 1]), torch.tensor([0, 7, 255, 1]), num_classes=2).numpy()
    assert S.iou_per_class(counts).tolist() == [1 / 3, 1]
    assert S.pixel_accuracy(counts) == 0.5


def test_background_makes_false_alarms_and_can_be_dropped():
    labels, preds = torch.tensor([0, 0, 2, 2, 2, 255]), torch.tensor([0, 0, 0, 2, 9, 0])
    counts = F.confusion_matrix(labels, preds, num_classes=2, background=True).numpy()
    assert S.iou_per_class(counts)[0] == 2 / 3
    assert S.pixel_accuracy(counts) == 4 / 5
    labelled = S.drop_background(counts)
    assert S.iou_per_class(labelled)[0] == 1
    assert S.pixel_accuracy(labelled) == 1
    assert counts[2].sum() == 3, "the input was changed"


def test_merging_equals_remapping_both_maps_to_group_ids():
    labels, preds = random_maps(4, num_classes=6, preds_up_to=7)
    groups = [[0, 3], [1], [2, 4]]
    counts = F.confusion_matrix(labels, preds, num_classes=5, background=True).numpy()
    pairs = count_pairs([(labels.tolist(), preds.tolist())])
    assert S.iou_per_class(S.merge_classes(counts, groups)).tolist() == [class_iou(pairs, set(ids)) for ids in groups]
    assert S.merge_classes(counts, [[0]]).sum() == counts.sum()


def test_nothing_counted_gives_nan_without_a_warning():
    empty = np.zeros((4, 4), np.int64)
    for value in (S.pixel_accuracy(empty), S.frequency_weighted_iou(empty), S.mean_present(S.iou_per_class(empty)), S.mean_present([], [])):
        assert np.isnan(value)


def test_counts_beyond_float32_stay_exact():
    big = np.array([[2**24 + 1, 0, 0], [0, 1, 0], [0, 0, 0]], np.int64)
    total = sum([big] * 1000, np.zeros_like(big))
    assert total[0, 0] == 1000 * (2**24 + 1)
    assert S.pixel_accuracy(total) == 1
