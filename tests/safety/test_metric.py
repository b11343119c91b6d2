"""``RoadSafetyMetric`` keeps the contract of a metric and ranks scenes."""

import json

import numpy as np
import pytest
import torch

from benchmarks.host_waits import as_on_device
from mmstreet.labels import BDD100K_SEM19, STREET6_BACKGROUND
from mmstreet.registry import METRICS
from mmstreet.safety.analyzer import RoadSafetyAnalyzer
from mmstreet.safety.metric import compare_safety, summarize_safety
from mmstreet.safety.score import LEVELS
from tests.helpers.metric_contract import MetricContract
from tests.helpers.street_scene import put, render_street

CONFIG = {"type": "mmstreet.RoadSafetyMetric"}
STREET = render_street(90, 160)


def make_sample(preds, name="a", labels=None):
    sample = {"img_path": f"images/{name}.jpg", "pred_sem_seg": {"data": torch.as_tensor(preds.astype(np.int64))[None]}}
    if labels is not None:
        sample |= {"gt_sem_seg": {"data": torch.as_tensor(labels.astype(np.int64))[None]}, "seg_map_path": f"labels/{name}.png"}
    return sample


def scene_samples():
    samples = []
    for i, ahead in enumerate((5, 8, 12, 20, 35)):
        labels = put(STREET, "person", ahead=ahead)
        samples.append(make_sample(put(labels, "car", ahead=9, aside=1, size=(1.8, 1.5)) if i % 2 else labels, str(i), labels))
    return samples


class TestContract(MetricContract):
    config = CONFIG
    dataset_meta = STREET6_BACKGROUND.metainfo
    absent = "road_visibility"
    """Six classes cannot tell: the part has no number, and the table says so."""

    def samples(self):
        lut = np.full(256, 6, np.uint8)
        for name, other in {"person": "person", "car": "car", "building": "vegetation"}.items():
            lut[BDD100K_SEM19.index(name)] = STREET6_BACKGROUND.index(other)
        samples = []
        for sample in scene_samples():
            preds, labels = (lut[sample[key]["data"][0].numpy()] for key in ("pred_sem_seg", "gt_sem_seg"))
            samples.append(make_sample(preds, sample["img_path"], labels))
        return samples

    def scores(self, samples):
        analyze = RoadSafetyAnalyzer(classes=STREET6_BACKGROUND.names)
        return [[analyze(sample[key]["data"][0].numpy()).to_dict() for key in ("pred_sem_seg", "gt_sem_seg")] for sample in samples]

    def by_function(self, samples):
        pairs = self.scores(samples)
        values = summarize_safety([pred for pred, _ in pairs]) | compare_safety(pairs)
        return {f"safety/{name}": value for name, value in values.items() if value is not None}

    def by_loop(self, samples):
        totals, count = {}, len(samples)
        for level in ("LOW", "MODERATE", "HIGH", "CRITICAL", "UNKNOWN"):
            totals[f"safety/share_{level}"] = 0.0
        for name in ("score", "part/people", "part/vehicles", "score_error", "level_agreement"):
            totals[f"safety/{name}"] = 0.0
        for pred, truth in self.scores(samples):
            totals["safety/score"] += pred["score"] / count
            totals[f"safety/share_{pred['level']}"] += 100 / count
            totals["safety/part/people"] += pred["components"]["people"] / count
            totals["safety/part/vehicles"] += pred["components"]["vehicles"] / count
            totals["safety/score_error"] += abs(pred["score"] - truth["score"]) / count
            totals["safety/level_agreement"] += 100 * (pred["level"] == truth["level"]) / count
        return totals


def run(samples, dataset_meta=BDD100K_SEM19.metainfo, **settings):
    metric = METRICS.build(CONFIG | settings)
    metric.dataset_meta = dataset_meta
    metric.process(None, samples)
    return metric, metric.evaluate(len(samples))


def test_best_and_worst_scenes_are_named_in_order_and_unknown_ones_are_neither():
    unknown = make_sample(np.full((90, 160), 255), "unknown")
    metric, scores = run([unknown, *(make_sample(put(STREET, "person", ahead=a), str(a)) for a in (20, 5, 35, 10))], num_scenes=2)
    report = metric.report
    assert [image["img_path"] for image in report["images"]] == [f"images/{name}.jpg" for name in ("5", "10", "20", "35", "unknown")]
    assert [image["img_path"] for image in report["worst"]] == ["images/5.jpg", "images/10.jpg"]
    assert [image["img_path"] for image in report["best"]] == ["images/35.jpg", "images/20.jpg"]
    assert scores["safety/share_UNKNOWN"] == 20
    assert json.loads(json.dumps(report, allow_nan=False))["worst"][0]["safety"]["level"] == "CRITICAL"


def test_labels_are_not_needed_and_give_the_error_where_they_are():
    assert "safety/score_error" not in run([make_sample(STREET)])[1]
    wrong = run([make_sample(put(STREET, "person", ahead=5), labels=STREET)])[1]
    assert wrong["safety/score_error"] == pytest.approx(100 - wrong["safety/score"])
    assert wrong["safety/level_agreement"] == 0


def test_scenes_of_classes_without_a_road_are_unknown_and_the_reason_is_written():
    names = ("car", "person", "pole")
    samples = [make_sample(np.full((90, 160), i)) for i in range(3)]
    metric, scores = run(samples, dataset_meta={"classes": names})
    assert scores == {**dict.fromkeys((f"safety/share_{level}" for level in LEVELS), 0.0), "safety/share_UNKNOWN": 100.0}
    ((reason, count),) = metric.files()["metrics.json"]["safety"]["reasons"].items()
    assert reason.startswith("UNKNOWN: the classes have neither road nor other ground nor background")
    assert count == 3


def test_no_map_is_kept():
    metric, _ = run(scene_samples())
    assert "tensor" not in str(metric.report)
    assert len(json.dumps(metric.report["images"][0])) < 4000


def test_mistakes_are_answered():
    with pytest.raises(ValueError, match=r"images/a\.jpg: label id 40"):
        run([make_sample(np.full((9, 9), 40))])
    with pytest.raises(ValueError, match="names no classes"):
        run([make_sample(STREET)], dataset_meta={})
    with pytest.raises(TypeError, match="weigths"):
        run([make_sample(STREET)], weigths={})


def test_settings_reach_the_score():
    scores = run(scene_samples(), table="bdd100k_sem19", settings={"weights": {"obstacles": 1}})[1]
    assert scores["safety/score"] == pytest.approx(100 * scores["safety/part/obstacles"])


def test_on_an_accelerator_a_batch_is_scored_with_the_next_and_the_result_is_the_same():
    samples = scene_samples()
    whole, scores = run(samples)
    with as_on_device():
        metric = METRICS.build(CONFIG)
        metric.dataset_meta = BDD100K_SEM19.metainfo
        for i in range(0, len(samples), 2):
            metric.process(None, samples[i : i + 2])
            assert len(metric.results) == i
        assert metric.evaluate(len(samples)) == scores
    assert metric.report == whole.report


def test_on_an_accelerator_the_refusal_names_its_own_image():
    with as_on_device(), pytest.raises(ValueError, match=r"images/a\.jpg: label id 40"):
        run([make_sample(np.full((9, 9), 40))])
