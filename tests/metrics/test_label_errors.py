"""Areas of disagreement against a flood fill and hand arithmetic, and a ranking that is the sorted list in little memory."""

import math

import numpy as np
import pytest
import torch

from benchmarks.host_waits import as_on_device
from mmstreet.metrics import label_errors
from mmstreet.metrics.disagreements import Ranking, find_disagreements
from mmstreet.metrics.label_errors import CROP_PX, LabelErrorMetric
from tests.helpers.metric_contract import evaluate_in_process

CLASSES = ("road", "car", "sky")
META = {"classes": CLASSES, "palette": [[128, 64, 128], [0, 0, 142], [70, 130, 180]]}


def flood(labels, preds, wrong):
    """Sets of pixels of one label and one prediction that touch, corners included, by walking."""
    left, areas = {tuple(p) for p in np.argwhere(wrong).tolist()}, []
    while left:
        start = min(left)
        left.remove(start)
        area, edge = {start}, [start]
        while edge:
            y, x = edge.pop()
            for near in [(y + dy, x + dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1)]:
                if near in left and labels[near] == labels[start] and preds[near] == preds[start]:
                    left.remove(near)
                    area.add(near)
                    edge.append(near)
        areas.append(area)
    return areas


@pytest.mark.parametrize("least", [1, 4])
def test_areas_are_what_a_flood_fill_finds(least):
    rng = np.random.default_rng(0)
    labels, preds = (np.kron(rng.integers(0, 3, (9, 11)), np.ones((2, 1), int)) for _ in range(2))
    wrong = (labels != preds) & (rng.random(labels.shape) < 0.8)
    pred_prob, label_prob = rng.uniform(0.4, 0.9, labels.shape), rng.uniform(0.01, 0.1, labels.shape)
    logs = np.log([pred_prob[wrong], label_prob[wrong]])
    found = find_disagreements(labels, preds, wrong, logs, least_pixels=least)
    expected = [area for area in flood(labels, preds, wrong) if len(area) >= least]
    assert len(found.areas) == len(expected) > 5
    shown = {frozenset(map(tuple, np.argwhere(found.parts == i).tolist())): i for i in range(len(found.areas))}
    assert (found.parts >= 0).sum() == sum(map(len, expected))
    for area in expected:
        i, pixels = shown[frozenset(area)], tuple(np.array(sorted(area)).T)
        assert (found.labels[i], found.preds[i]) == (labels[pixels][0], preds[pixels][0])
        assert found.areas[i] == len(area)
        assert found.confidence[i] == pytest.approx(pred_prob[pixels].mean())
        assert found.label_prob[i] == pytest.approx(label_prob[pixels].mean())
        ratios = [math.log(p / q) for p, q in zip(pred_prob[pixels], label_prob[pixels])]
        assert found.scores[i] == pytest.approx(sum(ratios) / len(ratios) * math.log(len(area)))
        ys, xs = pixels
        assert found.boxes_xyxy[i].tolist() == [xs.min(), ys.min(), xs.max() + 1, ys.max() + 1]


@pytest.mark.parametrize("shape", [(1, 1), (1, 7), (6, 1)])
def test_no_area_or_a_line_of_pixels(shape):
    nothing = find_disagreements(np.zeros(shape, int), np.zeros(shape, int), np.zeros(shape, bool), np.zeros((2, 0)))
    assert len(nothing.areas) == 0
    pixels = shape[0] * shape[1]
    whole = find_disagreements(np.zeros(shape, int), np.ones(shape, int), np.ones(shape, bool), np.zeros((2, pixels)), least_pixels=1)
    assert whole.areas.tolist() == [pixels]


def test_a_ranking_is_the_start_of_the_sorted_list_whatever_the_order_and_the_parts():
    rng = np.random.default_rng(1)
    offers = [(float(score), (f"image {i % 40}", i)) for i, score in enumerate(rng.integers(0, 30, 500))]
    expected = sorted(offers, key=lambda offer: (-offer[0], offer[1]))[:25]
    made = []
    parts = [Ranking(25) for _ in range(3)]
    for i in rng.permutation(500).tolist():
        score, key = offers[i]
        parts[i % 3].offer(score, key, lambda offer=offers[i]: made.append(offer) or offer)
        assert all(len(list(part)) <= 25 for part in parts)
    assert len(made) < 350, "what is not kept is not made"
    first, *others = parts
    for other in others:
        first.merge(other)
    first.merge(others[0])
    assert list(first) == expected
    same = Ranking(2)
    for number in range(3):
        same.offer(1.0, ("a",), lambda number=number: {"number": number})
    assert [item["number"] for item in same] == [0, 1], "an image that is listed twice"


def sample(labels, probs, image):
    """One image as the evaluator passes it on: labels ``[H, W]`` and class probabilities ``[C, H, W]``."""
    logits = torch.as_tensor(np.log(probs), dtype=torch.float32) + 3
    maps = {"gt_sem_seg": torch.as_tensor(labels)[None], "pred_sem_seg": logits.argmax(0, keepdim=True), "seg_logits": logits}
    return {"img_path": image} | {name: {"data": values} for name, values in maps.items()}


def streets(count=5, size=(24, 30)):
    rng = np.random.default_rng(2)
    found = []
    for i in range(count):
        truth = np.kron(rng.integers(0, 3, (4, 5)), np.ones((6, 6), int))
        probs = np.moveaxis(np.eye(3)[truth] * rng.uniform(1, 6, (*truth.shape, 1)) + rng.uniform(0.1, 0.6, (*truth.shape, 3)), 2, 0)
        labels = truth.copy()
        labels[6 * (i % 4) : 6 * (i % 4) + 6, 6:12] = (truth[6 * (i % 4), 6] + 1) % 3
        labels[:2, :2] = 255
        found.append(sample(labels[: size[0], : size[1]], probs / probs.sum(0), f"street{i}.jpg"))
    return found


def run(samples, *, batch_size=1, **settings):
    metric = LabelErrorMetric(**settings)
    metric.dataset_meta = META
    for start in range(0, len(samples), batch_size):
        metric.process(None, samples[start : start + batch_size])
    return metric, metric.evaluate(len(samples))


def test_the_damaged_patch_comes_first_with_its_numbers():
    labels = np.zeros((20, 20), np.int64)
    labels[5:9, 3:13] = 1
    labels[15:, :] = 255
    probs = np.broadcast_to(np.array([0.8, 0.15, 0.05])[:, None, None], (3, 20, 20))
    for temperature, factor in ((None, 1), (2.0, 0.5)):
        metric, scalars = run([sample(labels, probs, "a.jpg")], temperature=temperature)
        (area,) = metric.report["suspects"]
        soft = np.array([0.8, 0.15, 0.05]) ** factor
        soft /= soft.sum()
        assert (area["label"], area["prediction"], area["area"], area["box_xyxy"]) == ("car", "road", 40, [3, 5, 13, 9])
        assert area["confidence"] == pytest.approx(soft[0])
        assert area["label_probability"] == pytest.approx(soft[1])
        assert area["score"] == pytest.approx(math.log(soft[0] / soft[1]) * math.log(40))
        assert scalars == pytest.approx({"label_errors/areas": 1, "label_errors/share_of_pixels": 100 * 40 / 300})
        (image,) = metric.report["images"]
        assert image["share"] == pytest.approx(100 * 40 * (soft[0] - soft[1]) / 300)
        (crop,) = metric.crops
        assert np.array_equal(crop.inside, labels[:20, :20][crop.box_xyxy[1] : crop.box_xyxy[3], crop.box_xyxy[0] : crop.box_xyxy[2]] == 1)


def test_background_and_ignored_pixels_are_not_looked_at():
    labels = np.full((12, 12), 2, np.int64)
    labels[:, :6] = 255
    probs = np.broadcast_to(np.array([0.9, 0.1])[:, None, None], (2, 12, 12))
    metric = LabelErrorMetric()
    metric.dataset_meta = {"classes": ("road", "car", "background")}
    metric.process(None, [sample(labels, probs, "a.jpg"), sample(np.ones((12, 12), np.int64), probs, "b.jpg")])
    metric.evaluate(2)
    assert [(area["img_path"], area["area"]) for area in metric.report["suspects"]] == [("b.jpg", 144)]


def test_one_batch_or_many_and_fewer_listed_are_the_same_list():
    whole, scalars = run(streets(), top=100)
    assert scalars["label_errors/areas"] >= 5
    for size in (2, 5):
        again, values = run(streets(), batch_size=size, top=100)
        assert (again.report, values) == (whole.report, scalars)
    few, values = run(streets(), top=3, shown=2)
    assert values == scalars
    assert few.report["suspects"] == whole.report["suspects"][:3]
    assert [crop.img_path for crop in few.crops] == [area["img_path"] for area in few.report["suspects"][:2]]


def test_two_processes_give_the_scalars_of_one(tmp_path):
    samples = streets()
    config = dict(type="mmstreet.LabelErrorMetric", top=4)
    torch.multiprocessing.start_processes(evaluate_in_process, (2, str(tmp_path), config, META, samples), nprocs=2, start_method="fork")
    results = [torch.load(tmp_path / f"result_{rank}.pt") for rank in range(2)]
    assert results[1]["share"][-1] == 0, "the second process was not padded with the first sample"
    assert results[0]["scores"] == results[1]["scores"] == run(samples, top=4)[1]


def test_pictures_of_large_areas_are_bounded():
    labels = np.ones((900, 1300), np.int64)
    probs = np.broadcast_to(np.array([0.9, 0.05, 0.05])[:, None, None], (3, 900, 1300))
    metric, _ = run([sample(labels, probs, "a.jpg")])
    (crop,) = metric.crops
    assert max(crop.labels.shape) <= CROP_PX
    assert crop.labels.shape == crop.preds.shape == crop.inside.shape


def test_what_cannot_be_measured_is_refused_by_name():
    good = streets(1)[0]
    with pytest.raises(ValueError, match=r"street0\.jpg has no scores of two or more classes"):
        run([{name: value for name, value in good.items() if name != "seg_logits"}])
    broken = good | {"seg_logits": {"data": good["seg_logits"]["data"] * float("nan")}}
    with pytest.raises(ValueError, match=r"street0\.jpg: the model gives scores that are infinite or not a number"):
        run([broken])
    stray = good | {"gt_sem_seg": {"data": good["gt_sem_seg"]["data"] + 7}, "seg_map_path": "street0.png"}
    with pytest.raises(ValueError, match=r"street0\.png"):
        run([stray])
    ignored = good | {"gt_sem_seg": {"data": torch.full_like(good["gt_sem_seg"]["data"], 255)}}
    with pytest.raises(ValueError, match="not one pixel of the split is labelled"):
        run([ignored])
    with pytest.raises(ValueError, match="at least 1, got 0"):
        LabelErrorMetric(top=0)
    with pytest.raises(ValueError, match="greater than 0"):
        LabelErrorMetric(temperature=0)


def test_on_an_accelerator_an_image_is_measured_with_the_next_and_the_result_is_the_same(monkeypatch):
    whole, scalars = run(streets(), top=100)
    seen = []
    monkeypatch.setattr(label_errors, "find_disagreements", lambda *maps: seen.append(len(seen)) or find_disagreements(*maps))
    with as_on_device():
        metric = LabelErrorMetric(top=100)
        metric.dataset_meta = META
        for i, image in enumerate(streets()):
            metric.process(None, [image])
            assert len(seen) == i
        assert metric.evaluate(5) == pytest.approx(scalars)
    assert len(seen) == 5
    for found, wanted in zip(metric.report["suspects"], whole.report["suspects"], strict=True):
        assert found == {name: pytest.approx(value) if isinstance(value, float) else value for name, value in wanted.items()}


def test_on_an_accelerator_the_refusal_names_its_own_image():
    first, second = streets(2)
    first["seg_logits"]["data"] = first["seg_logits"]["data"] * float("nan")
    with as_on_device(), pytest.raises(ValueError, match=r"street0\.jpg: the model gives scores that are infinite or not a number"):
        run([first, second])
    stray = second | {"gt_sem_seg": {"data": second["gt_sem_seg"]["data"] + 7}, "seg_map_path": "street1.png"}
    with as_on_device(), pytest.raises(ValueError, match=r"street1\.png"):
        run([streets(1)[0], stray])
