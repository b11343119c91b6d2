"""Overlaps, matching and tables agree with pycocotools, with plain loops, and with sums done by hand."""

import numpy as np
import pytest
from pycocotools import mask as coding

from mmstreet.metrics.average_precision import AREAS, accumulate, count_truth, image_average_precision, match_image
from mmstreet.metrics.instance_summary import SCORES, precision_recall_curve, summarize_matches
from mmstreet.metrics.mask_overlaps import Predictions, Truth, bitmask_overlaps, coco_overlaps, encode_masks, occluded_parts
from tests.helpers import ap_oracle
from tests.helpers.instance_scenes import SIZE_HW, as_coco, encode, random_samples, run_pycocotools, scene_of

NAMES = tuple("abcdefgh")


def matches_of(samples, protocol):
    overlaps = [coco_overlaps(*scene_of(s)) if protocol == "coco" else bitmask_overlaps(*scene_of(s)) for s in samples]
    return [match_image(image, num_classes=len(NAMES)) for image in overlaps]


@pytest.mark.parametrize("seed", range(6))
def test_the_coco_protocol_is_pycocotools_to_the_last_bit(seed):
    samples = random_samples(9, seed=seed, without=(seed,))
    table = accumulate(matches_of(samples, "coco"), num_classes=len(NAMES))
    peer = run_pycocotools(*as_coco(samples))
    for ours, name in ((table.precision, "precision"), (table.scores, "scores")):
        theirs = peer.eval[name][..., -1]
        assert np.array_equal(np.where(np.isnan(ours), -1, ours), theirs), name
    averages = [table.average(**part) for part in SCORES.values()]
    assert [-1 if np.isnan(x) else x for x in averages] == peer.stats[:6].tolist()


def test_more_than_a_hundred_predictions_are_cut_as_pycocotools_cuts_them():
    samples = random_samples(2, seed=1)
    for sample in samples:
        detected = sample["pred_instances"]
        for name in ("masks", "labels", "scores"):
            detected[name] = detected[name].repeat(*([60] + [1] * (detected[name].ndim - 1)))
        detected["labels"][:] = 1
    table = accumulate(matches_of(samples, "coco"), num_classes=len(NAMES))
    assert np.array_equal(np.nan_to_num(table.precision, nan=-1), run_pycocotools(*as_coco(samples)).eval["precision"][..., -1])


@pytest.mark.parametrize("protocol", ["coco", "bitmask"])
def test_every_score_is_that_of_a_plain_loop(protocol):
    samples = random_samples(7, seed=3)
    make = ap_oracle.dense_scene if protocol == "coco" else ap_oracle.bitmask_scene
    expected = ap_oracle.average_precision([make(s) for s in samples], len(NAMES), regions=protocol == "coco")
    summary = summarize_matches(matches_of(samples, protocol), NAMES)
    for score in SCORES:
        for label, row in [(None, summary["metrics"]), *enumerate(summary["per_class"])]:
            value = float("nan") if row[score] is None else row[score]
            assert value == pytest.approx(expected[score, label], rel=1e-12, nan_ok=True), (score, label)
    assert summary["metrics"]["AP"] > 5


@pytest.mark.parametrize("protocol", ["coco", "bitmask"])
def test_the_mean_over_images_is_that_of_a_plain_loop(protocol):
    samples = random_samples(7, seed=4)
    make = ap_oracle.dense_scene if protocol == "coco" else ap_oracle.bitmask_scene
    for sample, matches in zip(samples, matches_of(samples, protocol)):
        expected = ap_oracle.image_average_precision(*make(sample), len(NAMES), regions=protocol == "coco")
        assert image_average_precision(matches) == pytest.approx(expected, nan_ok=True)


def rectangle(x, y, width, height):
    mask = np.zeros(SIZE_HW, bool)
    mask[y : y + height, x : x + width] = True
    return mask


def make_truth(*masks, ignored=None):
    count = len(masks)
    ignored = np.zeros(count, bool) if ignored is None else np.array(ignored, bool)
    return Truth(np.zeros(count, np.int64), [encode(m) for m in masks], np.array([m.sum() for m in masks], float), ignored)


def make_predictions(*scored):
    return Predictions(np.zeros(len(scored), np.int64), np.array([s for s, _ in scored], float), [encode(m) for _, m in scored])


def ap_of(overlaps, **counted):
    return accumulate([match_image(overlaps, num_classes=1, **counted)], num_classes=1)


def test_each_pixel_goes_to_the_highest_score_and_among_equals_to_the_first():
    left, right = rectangle(0, 0, 6, 4), rectangle(4, 0, 6, 4)
    for scores, expected in (((0.9, 0.5), [24, 16]), ((0.5, 0.9), [16, 24]), ((0.7, 0.7), [24, 16])):
        detected = bitmask_overlaps(make_truth(), make_predictions((scores[0], left), (scores[1], right)))
        assert detected.areas.tolist() == expected


def test_each_pixel_of_the_labels_goes_to_the_later_one():
    truth = make_truth(rectangle(0, 0, 6, 4), rectangle(4, 0, 6, 4))
    assert bitmask_overlaps(truth, make_predictions()).truth.areas.tolist() == [16, 24]


def test_occluded_parts_are_those_of_masks_written_one_over_the_other():
    for sample in random_samples(5, seed=2):
        _, predictions = scene_of(sample)
        masks = sample["pred_instances"]["masks"].numpy()
        ranking = np.argsort(-predictions.scores, kind="stable")
        taken = np.zeros(SIZE_HW, bool)
        occluded = occluded_parts(predictions.masks, ranking)
        for position in ranking:
            assert np.array_equal(coding.decode(occluded[position]).astype(bool), masks[position] & taken)
            taken |= masks[position]
        assert bitmask_overlaps(*scene_of(sample)).areas.sum() == taken.sum()
    assert occluded_parts([], []) == []


def test_masks_are_encoded_as_pycocotools_does():
    masks = np.concatenate([s["pred_instances"]["masks"].numpy() for s in random_samples(3)] + [np.zeros((1, *SIZE_HW), bool)])
    masks[0] = True
    assert encode_masks(masks) == [coding.encode(np.asfortranarray(mask, np.uint8)) for mask in masks]
    assert encode_masks(masks[:0]) == []


def test_a_prediction_that_owns_no_pixel_is_no_false_alarm():
    truth, big = make_truth(rectangle(0, 0, 20, 20)), rectangle(0, 0, 20, 20)
    predictions = make_predictions((0.9, big), (0.8, rectangle(2, 2, 3, 3)))
    assert len(bitmask_overlaps(truth, predictions).areas) == 1
    assert len(coco_overlaps(truth, predictions).areas) == 2


def test_other_classes_take_pixels_too():
    truth = make_truth(rectangle(0, 0, 20, 20))
    predictions = make_predictions((0.9, rectangle(0, 0, 12, 20)), (0.8, rectangle(0, 0, 20, 20)))
    predictions.labels[0] = 1
    assert coco_overlaps(truth, predictions).ious.tolist() == [[0], [1]]
    assert bitmask_overlaps(truth, predictions).ious.tolist() == [[0], [0.4]]


def test_two_predictions_for_two_instances_have_the_precision_done_by_hand():
    truth = make_truth(rectangle(0, 0, 10, 10), rectangle(40, 0, 10, 10))
    predictions = make_predictions((0.9, rectangle(80, 0, 10, 10)), (0.8, rectangle(0, 0, 10, 8)))
    for overlaps in (coco_overlaps(truth, predictions), bitmask_overlaps(truth, predictions)):
        table = ap_of(overlaps)
        # IoU 0.8: a hit in second place at the thresholds up to 0.80, precision 1/2 at the recalls 0 … 0.50.
        assert table.average(threshold=0) == pytest.approx(51 * 0.5 / 101)
        assert table.average() == pytest.approx(7 / 10 * 51 * 0.5 / 101)
        assert image_average_precision(match_image(overlaps, num_classes=1)) == pytest.approx(0.5 * 0.5)


def test_an_ignored_region_takes_any_number_of_predictions_in_coco_and_one_in_the_bitmask_protocol():
    region, instance = rectangle(0, 0, 40, 40), rectangle(80, 0, 10, 10)
    truth = make_truth(region, instance, ignored=[True, False])
    inside = [(0.9, rectangle(0, 0, 10, 10)), (0.8, rectangle(20, 0, 10, 10)), (0.5, instance)]
    assert ap_of(coco_overlaps(truth, make_predictions(*inside))).average() == pytest.approx(1)
    assert ap_of(bitmask_overlaps(truth, make_predictions(*inside))).average() == pytest.approx(1 / 3)
    whole = make_predictions((0.9, region), (0.5, instance))
    assert ap_of(bitmask_overlaps(truth, whole)).average() == pytest.approx(1)


def test_instances_that_are_not_wanted_count_neither_as_hits_nor_as_misses():
    truth = make_truth(rectangle(0, 0, 10, 10), rectangle(40, 0, 10, 10))
    overlaps = coco_overlaps(truth, make_predictions((0.9, rectangle(0, 0, 10, 10))))
    assert ap_of(overlaps).average() == pytest.approx(51 / 101)
    assert ap_of(overlaps, counted=np.array([True, False])).average() == pytest.approx(1)
    assert ap_of(overlaps, counted=np.array([False, True])).average() == 0


def test_what_cannot_be_measured_is_nan_and_never_minus_one():
    truth = make_truth(rectangle(0, 0, 10, 10))
    table = ap_of(coco_overlaps(truth, make_predictions()))
    assert table.average() == table.average(area="small") == 0
    assert np.isnan([table.average(area=area) for area in AREAS[2:]]).all()
    assert np.isnan(ap_of(coco_overlaps(make_truth(), make_predictions((0.5, rectangle(0, 0, 9, 9))))).average())
    assert not (table.precision < 0).any()
    assert np.isnan(accumulate([], num_classes=1).average())
    assert np.isnan(image_average_precision(match_image(coco_overlaps(make_truth(), make_predictions()), num_classes=1)))


def test_the_mean_of_the_curve_is_ap50():
    samples = random_samples(8, seed=5)
    matches = matches_of(samples, "coco")
    table = accumulate(matches, num_classes=len(NAMES))
    curve = precision_recall_curve(table, NAMES)
    assert curve["recall"] == pytest.approx(np.arange(101) / 100)
    assert set(curve["classes"]) == {name for i, name in enumerate(NAMES) if sum(count_truth(m, i) for m in matches)}
    for name, values in curve["classes"].items():
        label = NAMES.index(name)
        assert np.mean([x or 0 for x in values["precision"]]) == pytest.approx(table.average(threshold=0, label=label))
        assert len(values["precision"]) == len(values["score"]) == 101
        known = [x for x in values["precision"] if x is not None]
        assert known == sorted(known, reverse=True)
