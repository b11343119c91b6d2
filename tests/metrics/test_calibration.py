"""Calibration against hand arithmetic, loops over single pixels, torch's optimiser, and one or several processes."""

import math

import numpy as np
import pytest
import torch

from mmstreet.labels import STREET6
from mmstreet.metrics.calibration import FINE, CalibrationCounts, count_calibration, fit_temperature
from mmstreet.metrics.calibration_scores import adaptive_error, calibration_error, calibration_scores, reliability, risk_coverage
from mmstreet.metrics.confidence import CalibrationMetric


def counts_of(confidences, right):
    """Counts of pixels of given confidence; the other fields stay empty."""
    bins = [math.ceil(c * FINE) - 1 for c in confidences]
    pixels, sums, hits = np.zeros(FINE, np.int64), np.zeros(FINE), np.zeros(FINE)
    for place, confidence, hit in zip(bins, confidences, right):
        pixels[place] += 1
        sums[place] += confidence
        hits[place] += hit
    empty = CalibrationCounts.empty(2)
    return CalibrationCounts(pixels, sums, hits, empty.class_pixels, empty.class_probs, empty.class_hits, 0.0, 0.0)


def make_pixels(count=400, classes=4, seed=0, scale=3.0):
    generator = torch.Generator().manual_seed(seed)
    logits = scale * torch.randn(classes, count, generator=generator)
    labels = torch.distributions.Categorical(logits=logits.T / 2).sample()
    return logits, labels


def probabilities(logits, temperature=1.0):
    rows = (logits.T.double() / temperature).tolist()
    return [[math.exp(x) / sum(map(math.exp, row)) for x in row] for row in rows]


def ece_by_loop(confidences, right, bins):
    """Expected calibration error of single pixels."""
    total = 0.0
    for i in range(bins):
        inside = [j for j, c in enumerate(confidences) if i / bins < c <= (i + 1) / bins]
        if inside:
            gap = sum(confidences[j] for j in inside) / len(inside) - sum(right[j] for j in inside) / len(inside)
            total += len(inside) / len(confidences) * abs(gap)
    return total


def test_the_published_example():
    counts = counts_of([0.55, 0.65, 0.75, 0.85, 0.95, 0.95], [1, 0, 1, 1, 1, 0])
    assert calibration_error(counts, bins=10) == pytest.approx(0.4)


@pytest.mark.parametrize("temperature", [1.0, 2.5])
def test_every_score_equals_a_loop_over_the_pixels(temperature):
    logits, labels = make_pixels()
    probs, truth = probabilities(logits, temperature), labels.tolist()
    confidences, right = [max(p) for p in probs], [int(p.index(max(p)) == y) for p, y in zip(probs, truth)]
    scores = calibration_scores(count_calibration(logits, labels, temperature=temperature))
    assert scores["ECE"] == pytest.approx(ece_by_loop(confidences, right, 15), abs=1e-6)
    by_class = [ece_by_loop([p[c] for p in probs], [int(y == c) for y in truth], 15) for c in range(4)]
    assert scores["ECE_classwise"] == pytest.approx(sum(by_class) / 4, abs=1e-6)
    squares = [sum((p[c] - (y == c)) ** 2 for c in range(4)) for p, y in zip(probs, truth)]
    assert scores["Brier"] == pytest.approx(np.mean(squares), rel=1e-5)
    assert scores["NLL"] == pytest.approx(torch.nn.functional.cross_entropy(logits.T / temperature, labels).item(), rel=1e-5)
    assert scores["accuracy"] == pytest.approx(np.mean(right))
    assert scores["confidence"] == pytest.approx(np.mean(confidences), rel=1e-5)
    order = sorted(range(len(right)), key=lambda i: -confidences[i])
    risks = [sum(1 - right[i] for i in order[:k]) / k for k in range(1, len(order) + 1)]
    assert scores["AURC"] == pytest.approx(np.mean(risks), abs=2e-3)
    ideal = sorted(1 - hit for hit in right)
    assert scores["AURC"] - scores["E_AURC"] == pytest.approx(np.mean([sum(ideal[:k]) / k for k in range(1, len(ideal) + 1)]), rel=1e-6)


def test_bins_of_equal_mass_hold_equally_many_pixels():
    logits, labels = make_pixels(count=1500)
    probs = probabilities(logits)
    pairs = sorted((max(p), int(p.index(max(p)) == y)) for p, y in zip(probs, labels.tolist()))
    expected = sum(abs(sum(c - hit for c, hit in pairs[i : i + 100])) for i in range(0, 1500, 100)) / 1500
    assert adaptive_error(count_calibration(logits, labels)) == pytest.approx(expected, abs=2e-3)


def test_an_order_that_says_nothing_gives_the_error_rate():
    counts = counts_of([0.7] * 300, [1, 1, 0] * 100)
    scores = calibration_scores(counts)
    assert scores["AURC"] == pytest.approx(1 / 3)
    perfect = calibration_scores(counts_of([0.9] * 200 + [0.6] * 100, [1] * 200 + [0] * 100))
    assert perfect["E_AURC"] == pytest.approx(0, abs=1e-9)


def test_risk_is_the_error_among_what_is_kept_and_the_threshold_keeps_it():
    counts = counts_of([0.95] * 50 + [0.85] * 30 + [0.65] * 20, [1] * 50 + [1] * 15 + [0] * 15 + [0] * 20)
    rows = risk_coverage(counts, np.array([0.5, 0.8, 1.0]))
    assert [row["risk"] for row in rows] == pytest.approx([0, 15 / 80, 35 / 100])
    assert [row["threshold"] for row in rows] == pytest.approx([0.95, 0.85, 0.65], abs=2 / FINE)


def test_counts_of_parts_add_up_to_those_of_the_whole():
    logits, labels = make_pixels()
    whole, parts = count_calibration(logits, labels), [count_calibration(logits[:, i::3], labels[i::3]) for i in range(3)]
    total = CalibrationCounts.empty(4) + parts[0] + parts[1] + parts[2]
    assert total.pixels.sum() == whole.pixels.sum() == labels.numel()
    assert calibration_scores(total) == pytest.approx(calibration_scores(whole), rel=1e-4)  # softmax rounds by layout


def test_a_diagram_shows_the_means_of_its_bins_and_none_where_it_is_empty():
    rows = reliability(counts_of([0.91, 0.93, 0.5], [1, 0, 1]), bins=10)
    assert rows[9] == {"pixels": 2, "confidence": pytest.approx(0.92), "accuracy": 0.5}
    assert rows[0] == {"pixels": 0, "confidence": None, "accuracy": None}


def test_no_pixel_gives_no_number():
    assert all(math.isnan(value) for value in calibration_scores(CalibrationCounts.empty(3)).values())


def test_the_temperature_is_the_one_that_torch_finds_and_the_one_that_made_the_labels():
    logits, labels = make_pixels(count=20_000)  # drawn at temperature 2
    log_t = torch.zeros((), requires_grad=True, dtype=torch.float64)
    optimizer = torch.optim.LBFGS([log_t], max_iter=60, line_search_fn="strong_wolfe")

    def closure():
        optimizer.zero_grad()
        loss = torch.nn.functional.cross_entropy(logits.T.double() / log_t.exp(), labels)
        loss.backward()
        return loss

    optimizer.step(closure)
    found = fit_temperature(logits, labels)
    assert found == pytest.approx(log_t.exp().item(), rel=1e-4)
    assert found == pytest.approx(2, rel=0.05)


def test_no_temperature_fits_a_model_without_a_mistake():
    logits = torch.eye(3)[:, [0, 1, 2, 1]]
    with pytest.raises(ValueError, match=r"no temperature from 0\.01 to 100 fits best"):
        fit_temperature(logits, torch.tensor([0, 1, 2, 1]))
    with pytest.raises(ValueError, match="this split has none"):
        fit_temperature(torch.zeros(3, 0), torch.zeros(0, dtype=torch.int64))


def make_samples(count=5):
    samples = []
    for i in range(count):
        logits, labels = make_pixels(count=48, classes=6, seed=i)
        labels[:5] = 255
        maps = {"seg_logits": {"data": logits.reshape(6, 6, 8)}, "gt_sem_seg": {"data": labels.reshape(1, 6, 8)}}
        samples.append({"img_path": f"{i}.jpg", **maps})
    return samples


def evaluate(samples, **settings):
    metric = CalibrationMetric(**settings)
    metric.dataset_meta = STREET6.metainfo
    metric.process(None, samples[:2])
    metric.process(None, samples[2:])
    return metric, metric.evaluate(len(samples))


def test_the_metric_measures_all_labelled_pixels_before_and_after_and_changes_no_prediction():
    samples = make_samples()
    metric, values = evaluate(samples, temperature=2.0)
    logits = torch.cat([s["seg_logits"]["data"].flatten(1) for s in samples], 1)
    labels = torch.cat([s["gt_sem_seg"]["data"].flatten() for s in samples])
    for ending, temperature in (("", 1.0), ("_calibrated", 2.0)):
        expected = calibration_scores(count_calibration(logits[:, labels != 255], labels[labels != 255], temperature=temperature))
        assert values[f"calibration/ECE{ending}"] == pytest.approx(100 * expected["ECE"])
        assert values[f"calibration/NLL{ending}"] == pytest.approx(expected["NLL"])
    assert values["calibration/accuracy"] == values["calibration/accuracy_calibrated"]
    assert metric.report["pixels"] == 5 * 43


def evaluate_shard(rank, folder, samples):
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    metric = CalibrationMetric(temperature=2.0, fit_pixels=7)
    metric.dataset_meta = STREET6.metainfo
    metric.process(None, [samples[i] for i in ([0, 2, 4] if rank == 0 else [1, 3, 0])])  # the last is repeated by the sampler
    values = metric.evaluate(len(samples))
    torch.save((values, metric.sample[1].sort().values), f"{folder}/{rank}.pt")
    torch.distributed.destroy_process_group()


def test_two_processes_count_a_repeated_image_once(tmp_path):
    samples = make_samples()
    torch.multiprocessing.start_processes(evaluate_shard, (str(tmp_path), samples), nprocs=2, start_method="fork")
    metric, alone = evaluate(samples, temperature=2.0, fit_pixels=7)
    for rank in range(2):
        values, labels = torch.load(tmp_path / f"{rank}.pt")
        assert values == pytest.approx(alone, rel=1e-6)
        assert torch.equal(labels, metric.sample[1].sort().values)
        assert len(labels) == 5 * 7


def test_what_cannot_be_measured_is_named():
    sample = make_samples(1)[0]
    with pytest.raises(ValueError, match=r"0\.jpg has no scores of two or more classes"):
        evaluate([{**sample, "seg_logits": {"data": torch.zeros(1, 6, 8)}}])
    with pytest.raises(ValueError, match="not one pixel of the split is labelled"):
        evaluate([{**sample, "gt_sem_seg": {"data": torch.full((1, 6, 8), 255)}}])
    with pytest.raises(ValueError, match="label id 6"):
        evaluate([{**sample, "gt_sem_seg": {"data": torch.full((1, 6, 8), 6)}}])
    with pytest.raises(ValueError, match="infinite or not a number"):
        evaluate([{**sample, "seg_logits": {"data": torch.full((6, 6, 8), float("nan"))}}])
    with pytest.raises(ValueError, match="greater than 0"):
        CalibrationMetric(temperature=0)
