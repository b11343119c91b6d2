"""Slices: they add up to the whole, hold what their names say, and are measured as an obvious loop measures."""

import csv
import logging

import numpy as np
import pytest
import torch
from mmengine.logging import MMLogger
from scipy.ndimage import laplace

from mmstreet.labels import STREET6, STREET6_BACKGROUND
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.metrics.slices import cut_values, measure_brightness, measure_sharpness, row_bands
from tests.helpers.segmentation_oracle import class_iou, count_pairs, mean

SHAPE = (11, 8)
WEATHER = {"0": "rainy", "1": "clear", "2": "rainy", "4": "clear"}


def make_samples(count=5, *, background=False):
    rng = np.random.default_rng(0)
    samples, images = [], []
    for i in range(count):
        labels, preds = rng.integers(0, 6 + background, SHAPE), rng.integers(0, 6, SHAPE)
        labels[rng.random(SHAPE) < 0.2] = 255
        maps = {"gt_sem_seg": {"data": torch.tensor(labels)[None]}, "pred_sem_seg": {"data": torch.tensor(preds)[None]}}
        samples.append({"img_path": f"images/{i}.jpg", **maps})
        images.append(torch.full((3, *SHAPE), 40 * i, dtype=torch.uint8))
    return samples, images


@pytest.fixture
def attributes(tmp_path):
    path = tmp_path / "attributes.csv"
    with open(path, "w", newline="") as file:
        csv.writer(file).writerows([("image", "weather"), *((f"{name}.jpg", value) for name, value in WEATHER.items())])
    return str(path)


def evaluate(samples, images, meta=STREET6.metainfo, **settings):
    metric = StreetIoUMetric(**settings)
    metric.dataset_meta = meta
    metric.process({"inputs": images}, samples)
    metric.evaluate(len(samples))
    return metric


@pytest.mark.parametrize("scope", ["labelled", "scene"])
def test_the_slices_of_every_attribute_add_up_to_the_whole_exactly(attributes, scope):
    samples, images = make_samples(background=True)
    by = ("weather", "row", "brightness", "sharpness", "share/car")
    metric = StreetIoUMetric(by=by, attributes=attributes, scope=scope, table="street6")
    metric.dataset_meta = STREET6_BACKGROUND.metainfo
    metric.process({"inputs": images}, samples)
    measured = [values for _, _, values in metric.results]
    metric.evaluate(len(samples))
    slices = metric.slicer.cut(metric.by_image, measured, metric.names, scope=scope)
    assert tuple(slices) == by
    for name, parts in slices.items():
        assert sum(part.counts.sum(0) for part in parts).tolist() == metric.report["confusion"], name
        assert sum(row["pixels"] for row in metric.report["slices"][name]) == np.sum(metric.report["confusion"])


def test_a_slice_is_scored_on_its_images_and_unknown_is_one(attributes):
    samples, images = make_samples()
    rows = {row["value"]: row for row in evaluate(samples, images, by="weather", attributes=attributes).report["slices"]["weather"]}
    assert set(rows) == {"rainy", "clear", "unknown"}
    for value, row in rows.items():
        chosen = [sample for i, sample in enumerate(samples) if WEATHER.get(str(i), "unknown") == value]
        counts = count_pairs([(s["gt_sem_seg"]["data"][0].tolist(), s["pred_sem_seg"]["data"][0].tolist()) for s in chosen])
        ious = [class_iou(counts, {i}) for i in range(6)]
        assert row["images"] == len(chosen)
        assert row["IoU"] == pytest.approx([100 * iou for iou in ious])
        assert row["mIoU"] == pytest.approx(100 * mean(ious))
        assert row["interval"][0] <= row["mIoU"] <= row["interval"][1] or len(chosen) == 1


def test_the_lowest_score_comes_first_and_small_slices_are_said_to_be_small(attributes, caplog):
    samples, images = make_samples()
    logger = MMLogger.get_instance("slices", log_level="INFO")
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO):
        report = evaluate(samples, images, by=("weather", "row"), attributes=attributes).report
    logger.removeHandler(caplog.handler)
    for rows in report["slices"].values():
        assert [row["mIoU"] for row in rows] == sorted(row["mIoU"] for row in rows)
    lines = [line for line in caplog.text.splitlines() if line.startswith("  rainy ")]
    assert lines
    assert all("only" in line and "pixels" in line for line in lines)


def test_the_row_bands_hold_each_row_once_from_the_top():
    for height in (1, 2, 3, 11, 720):
        assert [row for band in row_bands(height) for row in range(height)[band]] == list(range(height))


def test_a_band_is_scored_on_its_rows():
    samples, images = make_samples(1)
    rows = {row["value"]: row for row in evaluate(samples, images, by="row").report["slices"]["row"]}
    labels, preds = (samples[0][name]["data"][0][:4].tolist() for name in ("gt_sem_seg", "pred_sem_seg"))
    counts = count_pairs([(labels, preds)])
    assert rows["upper third"]["mIoU"] == pytest.approx(100 * mean([class_iou(counts, {i}) for i in range(6)]))


def test_numbers_are_cut_into_thirds_with_zero_by_itself_and_ties_together():
    assert cut_values([float(x) for x in (1, 2, 3, 4, 5, 6)]) == ["1 to 2"] * 2 + ["3 to 4"] * 2 + ["5 to 6"] * 2
    assert cut_values([0.0, 0.0, 1.0, 2.0, 3.0]) == ["none", "none", "1 to 1", "2 to 2", "3 to 3"]
    assert cut_values([0.0, 0.0]) == ["none", "none"]
    assert set(cut_values([2.0, 2.0, 2.0])) == {"2 to 2"}
    assert cut_values(["3", "5", "", None, "3"]) == ["3", "5", "unknown", "unknown", "3"]
    many = cut_values([str(i) for i in range(1, 31)] + [None])
    assert [many.count(name) for name in dict.fromkeys(many)] == [10, 10, 10, 1]


def test_brightness_and_sharpness_are_measured_as_by_hand():
    image = torch.randint(0, 256, (3, 9, 7), generator=torch.Generator().manual_seed(0), dtype=torch.uint8)
    assert measure_brightness(image) == pytest.approx(image.numpy().mean(), rel=1e-5)
    assert measure_sharpness(image) == pytest.approx(laplace(image.numpy().mean(0))[1:-1, 1:-1].var(), rel=1e-4)
    assert measure_sharpness(torch.full((3, 4, 4), 7)) == measure_sharpness(torch.zeros(3, 2, 2)) == 0


def test_what_cannot_be_sliced_is_refused_before_the_test_begins(attributes):
    with pytest.raises(ValueError, match=r"by='weather' is unknown; choose among brightness.*attributes='labels.json'"):
        StreetIoUMetric(by="weather")
    with pytest.raises(ValueError, match=r"by='scene' is unknown; choose among .*weather$"):
        StreetIoUMetric(by="scene", attributes=attributes)
    samples, images = make_samples(1)
    with pytest.raises(ValueError, match=r"share/tram.*no such class; the scored classes are bicycle"):
        evaluate(samples, images, by="share/tram")


def test_without_by_there_are_no_slices_and_no_file_of_them():
    samples, _ = make_samples(2)
    metric = evaluate(samples, None)
    assert metric.report["slices"] == {}
    assert "slices.csv" not in metric.files()
