"""The bootstrap against an obvious loop and against chance itself; scores by image against loops; reading refuses what is not ours."""

import math
import statistics
import zipfile

import numpy as np
import pytest

from mmstreet.files.atomic import write_arrays
from mmstreet.files.confusion_scores import compute_scores
from mmstreet.files.image_confusions import ImageConfusions, bootstrap, image_wise_scores, interval, read_image_confusions, resample

NAMES = ("road", "car", "pole")


def random_counts(seed, images=11):
    """Counts of three classes of which pole is in few images, and a background row."""
    rng = np.random.default_rng(seed)
    counts = rng.integers(0, 200, (images, 4, 4))
    counts[rng.random(images) < 0.7, 2] = 0
    return counts


def score(sums):
    return compute_scores(sums, NAMES)


def iou_by_loop(matrix, label):
    """IoU of one class of nested lists; nan without a pixel."""
    hits = matrix[label][label]
    union = sum(matrix[label]) + sum(row[label] for row in matrix) - hits
    return hits / union if union else math.nan


def mean_by_loop(values):
    known = [value for value in values if not math.isnan(value)]
    return sum(known) / len(known) if known else math.nan


def test_resampled_scores_equal_a_loop_over_the_drawn_images():
    counts = random_counts(0)
    values = bootstrap(counts, score, draws=25, seed=3)
    picks = np.random.default_rng(3).integers(len(counts), size=(25, len(counts)))
    for draw, images in enumerate(picks.tolist()):
        total = [[sum(int(counts[i, row, column]) for i in images) for column in range(4)] for row in range(4)]
        ious = [iou_by_loop(total, label) for label in range(3)]
        assert values["mIoU"][draw] == pytest.approx(mean_by_loop(ious), rel=1e-12)
        assert values["IoU/pole"][draw] == pytest.approx(ious[2], rel=1e-12, nan_ok=True)
        assert values["aAcc"][draw] == pytest.approx(sum(total[i][i] for i in range(4)) / sum(map(sum, total)), rel=1e-12)


def test_draws_do_not_depend_on_how_many_fit_into_memory(monkeypatch):
    counts = random_counts(1)
    whole = np.concatenate(list(resample(counts, draws=20)))
    monkeypatch.setattr("mmstreet.files.image_confusions._MAX_ENTRIES", 100)
    assert np.array_equal(np.concatenate(list(resample(counts, draws=20))), whole)


def test_identical_runs_differ_by_exactly_nothing():
    first, second = (bootstrap(random_counts(2), score) for _ in range(2))
    assert interval(second["mIoU"] - first["mIoU"]) == [0, 0]


def test_the_interval_holds_the_true_value_as_often_as_it_says():
    """200 test sets of 60 images from a world whose mIoU is known; images differ in size and in how hard they are."""
    rng = np.random.default_rng(0)

    def draw_images(count):
        pixels, wrong = rng.integers(200, 1000, (count, 3)), rng.beta(2, 6, (count, 1))
        counts = np.zeros((count, 4, 4), np.int64)
        for label in range(3):
            missed = rng.binomial(pixels[:, label], wrong[:, 0])
            counts[:, label, label], counts[:, label, (label + 1) % 3] = pixels[:, label] - missed, missed
        return counts

    truth = 100 * score(draw_images(200_000).sum(0))["mIoU"]
    limits = [interval(bootstrap(draw_images(60), score, draws=400, seed=seed)["mIoU"]) for seed in range(200)]
    assert 0.92 <= np.mean([low <= truth <= high for low, high in limits]) <= 0.98


def test_the_limits_are_percentiles_and_draws_without_the_class_are_left_out():
    values = np.array([*(np.arange(1001) / 1000), np.nan, np.nan])
    assert interval(values) == pytest.approx([2.5, 97.5])
    assert interval(np.array([np.nan])) is None


def test_scores_by_image_equal_loops():
    counts = random_counts(4, images=45)
    scores = image_wise_scores(counts)
    rows = [[iou_by_loop(m, label) if sum(m[label]) else math.nan for label in range(3)] for m in counts.tolist()]
    by_image = sorted(mean_by_loop(row) for row in rows)
    by_class = [sorted(value for value in column if not math.isnan(value)) for column in zip(*rows)]
    assert scores["mIoU_I"] == pytest.approx(100 * statistics.mean(by_image))
    assert scores["mIoU_C"] == pytest.approx(100 * statistics.mean(statistics.mean(values) for values in by_class))
    assert scores["mIoU_I_worst_5"] == pytest.approx(100 * statistics.mean(by_image[:3]))  # 5 % of 45 is 2.25
    assert scores["mIoU_I_worst_1"] == pytest.approx(100 * by_image[0])
    lowest = [values[: math.ceil(0.05 * len(values))] for values in by_class]
    assert scores["mIoU_C_worst_5"] == pytest.approx(100 * statistics.mean(statistics.mean(values) for values in lowest))


def test_a_class_that_is_only_predicted_is_in_no_score_by_image():
    counts = np.zeros((1, 4, 4), np.int64)
    counts[0, 0] = (6, 2, 0, 0)
    assert image_wise_scores(counts)["mIoU_I"] == 75


def test_a_file_gives_back_its_counts_and_images(tmp_path):
    counts = ImageConfusions(["a/ü.png", "b.png"], random_counts(5, images=2))
    found = read_image_confusions(write_arrays(counts.arrays(), tmp_path / "per_image.npz"), num_classes=3)
    assert found.images == ["a/ü.png", "b.png"]
    assert np.array_equal(found.confusion, counts.confusion)


def test_images_are_matched_by_path_or_by_a_name_that_is_unique():
    counts = random_counts(6, images=3)
    first = ImageConfusions(["x/a.png", "x/b.png", "x/c.png"], counts)
    moved = ImageConfusions(["/y/c.png", "/y/a.png", "/y/b.png"], counts[[2, 0, 1]])
    assert np.array_equal(moved.ordered_as(first).confusion, counts)
    assert ImageConfusions(["y/a.png", "y/b.png", "y/d.png"], counts).ordered_as(first) is None
    assert ImageConfusions(["y/a.png", "z/a.png", "z/b.png"], counts).ordered_as(first) is None
    assert ImageConfusions(first.images[:2], counts[:2]).ordered_as(first) is None


def test_damage_anywhere_is_refused_or_changes_nothing_that_is_read(tmp_path):
    path, rng = tmp_path / "per_image.npz", np.random.default_rng(0)
    counts = ImageConfusions(["a/1.png", "a/2.png"], random_counts(0, images=2))
    data = write_arrays(counts.arrays(), path).read_bytes()
    refused = 0
    for _ in range(300):
        damaged = bytearray(data)
        damaged[rng.integers(len(data))] ^= 1 << rng.integers(8)
        path.write_bytes(damaged)
        try:
            found = read_image_confusions(path, num_classes=3)
            assert np.array_equal(found.confusion, counts.confusion)
        except ValueError:
            refused += 1
    assert refused > 150


@pytest.mark.parametrize("content", ["text", "classes", "objects", "negative", "huge", "overflow", "scalar"])
def test_a_file_that_is_not_ours_is_refused_in_one_sentence(tmp_path, content):
    path = tmp_path / "per_image.npz"
    arrays = ImageConfusions(["a"], np.zeros((1, 4, 4))).arrays()
    if content == "text":
        path.write_text("no archive")
    elif content in ("huge", "overflow", "scalar"):
        images = {"huge": (10**9,), "overflow": (2**60,), "scalar": ()}[content]
        with zipfile.ZipFile(path, "w") as archive:
            for name, kind, shape in (("images", "<U9", images), ("confusion", "<i4", (*images, 4, 4))):
                with archive.open(f"{name}.npy", "w") as file:
                    np.lib.format.write_array_header_1_0(file, {"descr": kind, "fortran_order": False, "shape": shape})
    else:
        changed = {"classes": np.zeros((1, 5, 5), np.int32), "negative": np.full((1, 4, 4), -1, np.int32), "objects": np.array([None])}
        write_arrays(arrays | {"confusion": changed[content]}, path)
    with pytest.raises(ValueError, match=r"it (holds|is no archive)"):
        read_image_confusions(path, num_classes=3)
