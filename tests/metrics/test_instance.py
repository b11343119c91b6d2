"""``BDD100KInsMetric`` keeps the contract of a metric, agrees with its peers, and answers the mistakes that users make."""

import json

import numpy as np
import pytest
import torch
from mmengine.registry import METRICS
from pycocotools import mask as coding

from mmstreet.labels import BDD100K_INS8
from mmstreet.metrics.average_precision import match_image
from mmstreet.metrics.instance import BDD100KInsMetric
from mmstreet.metrics.instance_summary import PROTOCOLS, flatten_scores, format_report, summarize_matches
from mmstreet.metrics.mask_overlaps import bitmask_overlaps, coco_overlaps
from tests.helpers import ap_oracle
from tests.helpers.instance_scenes import SIZE_HW, as_coco, make_instance, make_sample, random_samples, run_pycocotools, scene_of
from tests.helpers.metric_contract import MetricContract
from tests.helpers.ops import needs_ops

CONFIG = {"type": "mmstreet.BDD100KInsMetric"}
META = BDD100K_INS8.metainfo
NAMES = BDD100K_INS8.names
TRAIN = BDD100K_INS8.index("train")


def evaluate_all(samples, **settings):
    """Scalars and report of one batch."""
    metric = BDD100KInsMetric(**settings)
    metric.dataset_meta = META
    metric.process(None, samples)
    return metric.evaluate(len(samples)), metric.report


class TestContract(MetricContract):
    config = CONFIG | {"by": ["weather", "occluded"]}
    dataset_meta = META
    absent = "train"

    def samples(self):
        return random_samples(7, without=(TRAIN,))

    def by_function(self, samples):
        values = {"weather": sorted({s["weather"] for s in samples}), "occluded": ["false", "true"]}
        protocols, by = {}, {name: {value: {} for value in group} for name, group in values.items()}
        for protocol in PROTOCOLS:
            images = []
            for sample in samples:
                truth, predictions = scene_of(sample)
                images.append(coco_overlaps(truth, predictions) if protocol == "coco" else bitmask_overlaps(truth, predictions))
            protocols[protocol] = summarize_matches([match_image(x, num_classes=8) for x in images], NAMES)
            for weather in values["weather"]:
                own = [match_image(x, num_classes=8) for x, s in zip(images, samples) if s["weather"] == weather]
                by["weather"][weather][protocol] = summarize_matches(own, NAMES)
            for value in values["occluded"]:
                own = [match_image(x, num_classes=8, counted=x.truth.flags["occluded"] == (value == "true")) for x in images]
                by["occluded"][value][protocol] = summarize_matches(own, NAMES)
        return {name: value for name, value in flatten_scores(protocols, by).items() if value is not None}

    def by_loop(self, samples):
        scores = {}
        for protocol, make in (("coco", ap_oracle.dense_scene), ("bitmask", ap_oracle.bitmask_scene)):
            regions = protocol == "coco"
            scenes = [make(sample) for sample in samples]
            expected_ap = ap_oracle.average_precision(scenes, len(NAMES), regions=regions)
            scores |= {f"{protocol}/{score}": value for (score, label), value in expected_ap.items() if label is None}
            scores |= {
                f"{protocol}/{score}/{NAMES[label]}": value
                for (score, label), value in expected_ap.items()
                if label is not None and score in ("AP", "AP50")
            }
            by_image = [ap_oracle.image_average_precision(*scene, len(NAMES), regions=regions) for scene in scenes]
            scores[f"{protocol}/mAP@0.5"] = 100 * np.nanmean(by_image)
            for weather in {sample["weather"] for sample in samples}:
                own = [scene for scene, sample in zip(scenes, samples) if sample["weather"] == weather]
                expected_ap = ap_oracle.average_precision(own, len(NAMES), regions=regions)
                scores |= {f"{protocol}/{score}/weather={weather}": expected_ap[score, None] for score in ("AP", "AP50")}
            for value in (True, False):
                own = [make(sample, occluded=value) for sample in samples]
                expected_ap = ap_oracle.average_precision(own, len(NAMES), regions=regions)
                scores |= {f"{protocol}/{score}/occluded={str(value).lower()}": expected_ap[score, None] for score in ("AP", "AP50")}
        return {name: value for name, value in scores.items() if not np.isnan(value)}


def test_coco_scores_are_those_of_pycocotools_and_the_bitmask_protocol_is_another():
    samples = random_samples(9, seed=1)
    scores, _ = evaluate_all(samples)
    peer = run_pycocotools(*as_coco(samples))
    names = ("AP", "AP50", "AP75", "APs", "APm", "APl")
    assert peer.stats[:6].min() > 0
    assert [scores[f"coco/{name}"] for name in names] == (100 * peer.stats[:6]).tolist()
    assert scores["bitmask/AP"] != scores["coco/AP"]
    # pycocotools has class 1 … 8 in the third place.
    car = peer.eval["precision"][:, :, NAMES.index("car"), 0, -1]
    assert scores["coco/AP/car"] == 100 * car.mean()


@needs_ops
def test_coco_scores_are_those_of_mmdet_to_its_three_decimals(tmp_path):
    from mmdet.evaluation import CocoMetric

    samples = random_samples(5, seed=2)
    truth, _ = as_coco(samples)
    (tmp_path / "truth.json").write_text(json.dumps(truth))
    peer = CocoMetric(ann_file=str(tmp_path / "truth.json"), metric="segm", proposal_nums=(1, 10, 100))
    peer.dataset_meta = META
    for sample in samples:
        sample["pred_instances"]["bboxes"] = torch.zeros(len(sample["pred_instances"]["scores"]), 4)
    peer.process(None, samples)
    expected = peer.evaluate(len(samples))
    scores, _ = evaluate_all(samples)
    for ours, theirs in (("AP", "mAP"), ("AP50", "mAP_50"), ("AP75", "mAP_75"), ("APs", "mAP_s"), ("APm", "mAP_m"), ("APl", "mAP_l")):
        assert scores[f"coco/{ours}"] == pytest.approx(100 * expected[f"coco/segm_{theirs}"], abs=0.0501), ours


def test_average_precision_comes_first_so_that_save_best_auto_takes_it():
    assert next(iter(evaluate_all(random_samples(2))[0])) == "coco/AP"


def test_images_are_ranked_by_id_as_pycocotools_does_whatever_order_they_come_in():
    samples = random_samples(9, seed=3)
    assert evaluate_all(samples) == evaluate_all(samples[::-1])


def test_masks_as_tensors_as_arrays_and_as_run_lengths_score_the_same():
    samples = random_samples(4, seed=5)
    expected, _ = evaluate_all(samples)
    for sample in samples:
        masks = sample["pred_instances"]["masks"].numpy()
        sample["pred_instances"]["masks"] = coding.encode(np.asfortranarray(masks.transpose(1, 2, 0), np.uint8)) if len(masks) else []
        for instance in sample["instances"]:
            instance["mask"]["counts"] = instance["mask"]["counts"].encode()
    assert evaluate_all(samples)[0] == expected
    for sample in random_samples(4, seed=5):
        sample["pred_instances"]["masks"] = sample["pred_instances"]["masks"].numpy()
    assert evaluate_all(samples)[0] == expected


def test_labels_of_mmdets_own_data_set_are_scored_too():
    polygon = [[10.0, 10.0, 50.0, 10.0, 50.0, 40.0, 10.0, 40.0]]
    mask = coding.decode(coding.merge(coding.frPyObjects(polygon, *SIZE_HW)))
    plain = {"bbox": [10, 10, 50, 40], "bbox_label": 2, "ignore_flag": 0, "mask": polygon}
    scores, _ = evaluate_all([make_sample(1, [plain], [mask], [2], [0.9])])
    assert scores["coco/AP"] == pytest.approx(100)


def test_mask_scores_rank_the_masks_where_a_model_has_them():
    masks = [np.zeros(SIZE_HW, bool) for _ in range(2)]
    masks[0][:20, :20], masks[1][40:60, 40:60] = True, True
    sample = make_sample(1, [make_instance(masks[0], 2)], masks, [2, 2], [0.5, 0.9])
    assert evaluate_all([sample])[0]["coco/AP"] == pytest.approx(50)
    sample["pred_instances"]["mask_scores"] = torch.tensor([0.9, 0.1])
    assert evaluate_all([sample])[0]["coco/AP"] == pytest.approx(100)


def test_the_report_is_json_and_says_what_is_missing_as_none():
    scores, report = evaluate_all(random_samples(5, without=(TRAIN,)), by=["weather", "truncated"])
    text = json.loads(json.dumps(report, allow_nan=False))
    assert text["metrics"]["coco/AP/train"] is None
    assert {name: value for name, value in text["metrics"].items() if value is not None} == scores
    assert set(text["by"]["weather"]) == {"clear", "rainy", "partly cloudy"}
    assert set(text["by"]["truncated"]) == {"true", "false"}
    assert sum(part["coco"]["images"] for part in text["by"]["weather"].values()) == 5
    assert sum(part["coco"]["instances"] for part in text["by"]["truncated"].values()) == text["protocols"]["coco"]["instances"]
    assert min(scores.values()) >= 0
    assert "-1" not in format_report(report)
    low, high = report["intervals"]["scores"]["bitmask/AP"]
    assert low < scores["bitmask/AP"] < high
    assert f"AP, 95 % interval over 5 images: coco {report['intervals']['scores']['coco/AP'][0]:.2f}–" in format_report(report)
    assert report["intervals"]["scores"]["coco/AP50/train"] is None
    assert all(part["interval"][0] <= part["interval"][1] for value in text["by"]["truncated"].values() for part in value.values())


def test_the_table_holds_both_protocols_side_by_side():
    _, report = evaluate_all(random_samples(5), by=["weather"])
    lines = format_report(report).splitlines()
    assert "coco: masks may overlap" in lines[0]
    assert "bitmask: one owner per pixel, by score" in lines[0]
    car = next(line for line in lines if line.startswith("car "))
    row = [report["protocols"][p]["per_class"][NAMES.index("car")] for p in PROTOCOLS]
    expected = [f"{value:.2f}" if isinstance(value, float) else str(value or "n/a") for side in row for value in list(side.values())[1:]]
    assert car.split()[1:] == expected
    assert any(line.startswith("weather: partly cloudy") for line in lines)


def test_a_split_without_an_instance_that_counts_is_an_error():
    mask = np.ones(SIZE_HW, bool)
    for instances in ([], [make_instance(mask, 2, crowd=True)]):
        with pytest.raises(ValueError, match="none of the 1 images has an instance that counts"):
            evaluate_all([make_sample(1, instances, [mask], [2], [0.5])])


def test_no_prediction_at_all_scores_zero():
    scores, _ = evaluate_all([make_sample(1, [make_instance(np.ones(SIZE_HW, bool), 2)], [], [], [])])
    assert scores["coco/AP"] == scores["bitmask/AP"] == scores["coco/mAP@0.5"] == 0


def change(sample, **entries):
    return {key: value for key, value in {**sample, **entries}.items() if value is not None}


@pytest.mark.parametrize(
    ("changes", "settings", "sentence"),
    [
        ({"instances": None}, {}, r"images/1\.jpg: the sample has no 'instances'; add it to meta_keys of PackDetInputs"),
        ({"weather": None}, {"by": "weather"}, r"images/1\.jpg: the sample has no 'weather'; add it to meta_keys"),
        ({"ori_shape": (260, 340)}, {}, r"a mask of the labels has \[130, 170\] .*, the original image has \[260, 340\]"),
        ({"pred_instances": {"labels": [], "scores": []}}, {}, "the prediction has no masks"),
        ({"instances": [{"bbox_label": 1, "bbox": [0, 0, 1, 1], "ignore_flag": 0}]}, {}, "1 of its 1 labels have no mask"),
    ],
)
def test_a_sample_that_cannot_be_scored_is_named(changes, settings, sentence):
    sample = change(random_samples(2)[1], **changes)
    with pytest.raises(ValueError, match=sentence):
        evaluate_all([sample], **settings)


@pytest.mark.parametrize(
    ("label", "score", "sentence"),
    [
        (2, float("nan"), r"images/1\.jpg: the prediction has scores that are not finite"),
        (17, 0.5, r"images/1\.jpg: the prediction has class ids 17 … 17, but the data set has 8 classes"),
    ],
)
def test_predictions_of_a_broken_or_foreign_model_are_refused(label, score, sentence):
    with pytest.raises(ValueError, match=sentence):
        evaluate_all([make_sample(1, [], [np.ones(SIZE_HW, bool)], [label], [score])])


def test_predictions_at_the_size_of_the_network_are_refused():
    sample = make_sample(1, [], [np.ones((65, 85), bool)], [2], [0.5], size_hw=(65, 85))
    sample["ori_shape"] = SIZE_HW
    with pytest.raises(ValueError, match=r"a mask of the prediction has \[65, 85\]"):
        evaluate_all([sample])


def test_an_unknown_breakdown_and_a_misspelt_setting_are_refused():
    with pytest.raises(ValueError, match="by='wether' is unknown; choose among weather, scene, timeofday, occluded, truncated"):
        BDD100KInsMetric(by=["wether"])
    with pytest.raises(TypeError, match="classwise"):
        METRICS.build(CONFIG | {"classwise": True})


def test_a_data_set_without_classes_is_refused():
    metric = BDD100KInsMetric()
    with pytest.raises(ValueError, match="names no classes"):
        metric.process(None, random_samples(1))
