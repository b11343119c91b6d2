"""``StreetIoUMetric`` keeps the contract of a metric, agrees with its peers, and answers the mistakes that users make."""

import json

import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.registry import METRICS
from mmseg.evaluation.metrics import IoUMetric

from mmstreet.labels import BDD100K_SEM19, STREET6, STREET6_BACKGROUND
from mmstreet.metrics import functional as F
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.metrics.summary import summarize
from tests.helpers.metric_contract import MetricContract, evaluate
from tests.helpers.segmentation_oracle import count_pairs, mean, scores

TRAIN = BDD100K_SEM19.index("train")


def make_sample(labels, preds, name="a"):
    return {
        "img_path": f"images/{name}.jpg",
        "seg_map_path": f"labels/{name}.png",
        "gt_sem_seg": {"data": torch.as_tensor(labels, dtype=torch.int64)[None]},
        "pred_sem_seg": {"data": torch.as_tensor(preds, dtype=torch.int64)[None]},
    }


def random_samples(count, *, num_classes, without=(), shape=(7, 9)):
    generator = np.random.default_rng(0)
    ids = np.array([i for i in range(num_classes) if i not in without])
    samples = []
    for i in range(count):
        labels = generator.choice(ids, shape)
        preds = np.where(generator.random(shape) < 0.6, labels, generator.choice(ids, shape))
        labels[generator.random(shape) < 0.15] = 255
        samples.append(make_sample(labels, preds, name=str(i)))
    return samples


def maps_of(samples):
    return [(s["gt_sem_seg"]["data"][0], s["pred_sem_seg"]["data"][0]) for s in samples]


def counts_of(samples, num_classes, **settings):
    return sum(F.confusion_matrix(labels, preds, num_classes=num_classes, **settings).numpy() for labels, preds in maps_of(samples))


def build(dataset_meta=None, **settings):
    metric = StreetIoUMetric(**settings)
    metric.dataset_meta = dataset_meta
    return metric


class TestContract(MetricContract):
    config = {"type": "mmstreet.StreetIoUMetric"}
    dataset_meta = BDD100K_SEM19.metainfo
    absent = "train"

    def samples(self):
        return random_samples(7, num_classes=19, without=(TRAIN,))

    def by_function(self, samples):
        summary = summarize(counts_of(samples, 19), BDD100K_SEM19.names, table=BDD100K_SEM19, convention="mmseg", scope="labelled")
        return {name: value for name, value in summary["metrics"].items() if value is not None}

    def by_loop(self, samples):
        counts = count_pairs([(labels.tolist(), preds.tolist()) for labels, preds in maps_of(samples)])
        return scores(counts, BDD100K_SEM19.names, groups=BDD100K_SEM19.groups)


def test_mmsegs_metric_agrees_to_its_two_decimals():
    samples = random_samples(3, num_classes=19)
    peer = IoUMetric()
    peer.dataset_meta = BDD100K_SEM19.metainfo
    peer.process(None, samples)
    ours = evaluate({"type": "mmstreet.StreetIoUMetric"}, BDD100K_SEM19.metainfo, samples, batch_size=3)
    for name, value in peer.evaluate(3).items():
        assert ours[name] == pytest.approx(value, abs=0.0051), name


def test_mean_iou_comes_first_so_that_save_best_auto_takes_it():
    samples = random_samples(1, num_classes=19)
    assert next(iter(evaluate({"type": "mmstreet.StreetIoUMetric"}, BDD100K_SEM19.metainfo, samples, batch_size=1))) == "mIoU"


def test_bdd100k_convention_averages_over_labelled_classes_only():
    samples = random_samples(3, num_classes=19, without=(TRAIN,))
    samples[0]["pred_sem_seg"]["data"][0, 0, 0] = TRAIN
    samples[0]["gt_sem_seg"]["data"][0, 0, 0] = 0
    counts = count_pairs([(labels.tolist(), preds.tolist()) for labels, preds in maps_of(samples)])
    expected = scores(counts, BDD100K_SEM19.names, groups={})
    config = {"type": "mmstreet.StreetIoUMetric"}
    mmseg = evaluate(config, BDD100K_SEM19.metainfo, samples, batch_size=3)
    toolkit = evaluate(config | {"convention": "bdd100k"}, BDD100K_SEM19.metainfo, samples, batch_size=3)
    assert mmseg["IoU/train"] == expected["IoU/train"] == 0
    assert mmseg["mIoU"] == pytest.approx(expected["mIoU"])
    assert "IoU/train" not in toolkit
    assert toolkit["mIoU"] == pytest.approx(mean([v for k, v in expected.items() if k.startswith("IoU/") and k != "IoU/train"]))


def six_class_scene():
    """One row: car found, car missed for bicycle, two background pixels of which one is called car, one pixel nobody labelled."""
    car, bicycle, background = STREET6.index("car"), STREET6.index("bicycle"), 6
    labels = [[car, car, background, background, 255]]
    return labels, [[car, bicycle, car, bicycle, car]], [[car, bicycle, car, background, car]]


def test_scene_scope_counts_false_alarms_on_background_but_not_on_void():
    labels, preds, _ = six_class_scene()
    config = {"type": "mmstreet.StreetIoUMetric", "scope": "scene"}
    scene = evaluate(config, STREET6_BACKGROUND.metainfo, [make_sample(labels, preds)], batch_size=1)
    assert scene["IoU/car"] == pytest.approx(100 / 3)
    assert scene["IoU/bicycle"] == 0
    assert scene["aAcc"] == 25
    assert "IoU/background" not in scene
    assert scene["mIoU"] == pytest.approx(100 / 6)


def test_labelled_scope_of_six_classes_leaves_background_pixels_out():
    labels, preds, _ = six_class_scene()
    config = {"type": "mmstreet.StreetIoUMetric", "table": "street6"}
    labelled = evaluate(config, STREET6_BACKGROUND.metainfo, [make_sample(labels, preds)], batch_size=1)
    ignored = [[255 if x == 6 else x for x in labels[0]]]
    assert labelled == evaluate(config, STREET6.metainfo, [make_sample(ignored, preds)], batch_size=1)
    assert labelled["IoU/car"] == 50


def test_models_with_and_without_a_background_class_are_scored_by_one_rule():
    labels, six, seven = six_class_scene()
    config = {"type": "mmstreet.StreetIoUMetric", "scope": "scene"}
    first, second = (evaluate(config, STREET6_BACKGROUND.metainfo, [make_sample(labels, preds)], batch_size=1) for preds in (six, seven))
    assert first.keys() == second.keys()
    assert second["aAcc"] == first["aAcc"] + 25
    assert second["IoU/car"] == first["IoU/car"]
    as_class = evaluate({"type": "mmstreet.StreetIoUMetric"}, STREET6_BACKGROUND.metainfo, [make_sample(labels, seven)], batch_size=1)
    assert as_class["IoU/background"] == 50


def test_scene_scope_without_any_background_is_an_error_not_the_other_scope():
    metric = build(STREET6.metainfo, scope="scene")
    metric.process(None, [make_sample([[0, 1]], [[0, 1]])])
    with pytest.raises(ValueError, match=r"not one pixel of the 1 images is background \(id 6\)"):
        metric.evaluate(1)


def test_a_stray_label_names_the_file():
    metric = build(BDD100K_SEM19.metainfo)
    with pytest.raises(ValueError, match=r"labels/x\.png: label id 19 .*: 1 pixel, first at y=0, x=1"):
        metric.process(None, [make_sample([[0, 19]], [[0, 0]], name="x")])
    metric = build(STREET6.metainfo)
    with pytest.raises(ValueError, match="label id 6"):
        metric.process(None, [make_sample([[0, 6]], [[0, 0]])])


def test_labels_of_another_size_name_the_file():
    with pytest.raises(ValueError, match=r"labels/a\.png: the labels are \(1, 2\) and the prediction is \(1, 3\)"):
        build(STREET6.metainfo).process(None, [make_sample([[0, 1]], [[0, 1, 1]])])


def test_a_sample_without_labels_is_said_so():
    sample = make_sample([[0]], [[0]])
    del sample["gt_sem_seg"]
    with pytest.raises(ValueError, match=r"images/a\.jpg has no labels.*LoadAnnotations"):
        build(STREET6.metainfo).process(None, [sample])


def test_a_split_without_a_scored_pixel_is_an_error():
    metric = build(STREET6.metainfo)
    metric.process(None, [make_sample([[255, 255]], [[0, 1]])])
    with pytest.raises(ValueError, match="none of the 1 images has a pixel of a scored class"):
        metric.evaluate(1)


def test_classes_that_disagree_are_refused():
    with pytest.raises(ValueError, match=r"table 'street6' \(bicycle.*but the data set has: road, sidewalk"):
        build(BDD100K_SEM19.metainfo, table="street6").process(None, [])
    with pytest.raises(ValueError, match="the data set names no classes"):
        build().process(None, [])
    assert build(table="street6").names == STREET6.names


@pytest.mark.parametrize(
    ("settings", "error"), [({"scope": "all"}, ValueError), ({"convention": "voc"}, ValueError), ({"table": "x"}, KeyError)]
)
def test_unknown_settings_are_refused(settings, error):
    with pytest.raises(error, match="unknown"):
        StreetIoUMetric(**settings)


def test_a_misspelt_setting_is_reported_by_the_registry():
    with pytest.raises(TypeError, match="ignore_idx"):
        METRICS.build({"type": "mmstreet.StreetIoUMetric", "ignore_idx": 255})


def test_unknown_classes_are_scored_without_groups():
    meta = {"classes": ("cat", "dog"), "palette": [[0, 0, 0], [1, 1, 1]]}
    values = evaluate({"type": "mmstreet.StreetIoUMetric"}, meta, [make_sample([[0, 1]], [[0, 0]])], batch_size=1)
    expected = {"mIoU": 25, "aAcc": 50, "mAcc": 50, "fwIoU": 25, "IoU_common": 25}
    assert values == expected | {"IoU/cat": 50, "IoU/dog": 0, "Acc/cat": 100, "Acc/dog": 0}


def test_the_report_is_valid_json_with_null_for_absent_and_the_worst_image_first():
    metric = build(STREET6.metainfo)
    good, bad = make_sample([[0, 1, 2]], [[0, 1, 2]], "good"), make_sample([[0, 1, 2]], [[0, 1, 1]], "bad")
    metric.process(None, [good, make_sample([[255] * 3], [[0, 1, 1]], "void"), bad])
    metric.evaluate(3)
    report = json.loads(json.dumps(metric.report, allow_nan=False))
    assert report["metrics"]["IoU/person"] is None
    assert [x["img_path"] for x in report["images"]] == [f"images/{name}.jpg" for name in ("bad", "good", "void")]
    assert [x["mIoU"] for x in report["images"]] == [50, 100, None]
    assert report["per_class"][2] == {
        "class": "pole", "IoU": 50, "Acc": 50, "Precision": 100, "truth_pixels": 2, "predicted_pixels": 1,
        "group": "object", "frequency": "common",
    }  # fmt: skip
    assert report["categories"] == {"vehicle": 80, "object": 50, "human": None, "nature": None}


def test_mmengines_evaluator_runs_it_twice_beside_itself():
    evaluator = Evaluator([
        {"type": "mmstreet.StreetIoUMetric", "table": "street6"},
        {"type": "mmstreet.StreetIoUMetric", "table": "street6", "scope": "scene", "prefix": "scene"},
    ])  # fmt: skip
    evaluator.dataset_meta = STREET6_BACKGROUND.metainfo
    labels, preds, _ = six_class_scene()
    for _ in range(2):
        evaluator.process([make_sample(labels, preds)])
        values = evaluator.evaluate(1)
        assert (values["aAcc"], values["scene/aAcc"]) == (50, 25)


def test_a_one_channel_head_with_float_answers_is_scored():
    sample = make_sample([[0, 1]], [[0, 1]])
    sample["pred_sem_seg"]["data"] = sample["pred_sem_seg"]["data"].float()
    assert evaluate({"type": "mmstreet.StreetIoUMetric"}, {"classes": ("no", "yes")}, [sample], batch_size=1)["mIoU"] == 100
