import numpy as np
import pytest

from mmstreet.files.rle import (
    bbox_from_runs,
    counts_from_mask,
    counts_from_runs,
    decode_counts,
    encode_counts,
    mask_from_counts,
    merge_runs,
    parse_rle,
    runs_from_counts,
    runs_from_mask,
)


def random_masks(number, seed=0):
    rng = np.random.default_rng(seed)
    for _ in range(number):
        yield rng.random(tuple(rng.integers(1, 25, 2))) < rng.choice([0.0, 0.1, 0.5, 0.9, 1.0])


def test_text_boxes_and_runs_are_the_ones_of_pycocotools():
    coco = pytest.importorskip("pycocotools.mask")
    for mask in random_masks(400):
        expected, counts = coco.encode(np.asfortranarray(mask, np.uint8)), counts_from_mask(mask)
        assert encode_counts(counts) == expected["counts"].decode()
        np.testing.assert_array_equal(decode_counts(expected["counts"]), counts)
        np.testing.assert_array_equal(mask_from_counts(counts, mask.shape), mask)
        if mask.any():
            np.testing.assert_array_equal(bbox_from_runs(runs_from_counts(counts), mask.shape[0]), coco.toBbox(expected))


def test_runs_of_image_size_survive_the_text():
    coco = pytest.importorskip("pycocotools.mask")
    counts = np.array([921_599, 1, 31, 32, 1_000_000, 15, 16, 0, 4])
    theirs = coco.frPyObjects({"counts": counts.tolist(), "size": [1, int(counts.sum())]}, 1, int(counts.sum()))
    assert encode_counts(counts) == theirs["counts"].decode()
    np.testing.assert_array_equal(decode_counts(encode_counts(counts)), counts)


def test_cut_out_gives_the_runs_of_the_whole_image():
    rng = np.random.default_rng(1)
    for mask in random_masks(200, seed=1):
        (x, y), (right, below) = rng.integers(0, 4, 2), rng.integers(0, 4, 2)
        whole = np.pad(mask, ((y, below), (x, right)))
        np.testing.assert_array_equal(runs_from_mask(mask, origin_xy=(x, y), size_hw=whole.shape), runs_from_mask(whole))


def test_merging_keeps_exactly_the_covered_positions():
    rng = np.random.default_rng(2)
    for _ in range(200):
        runs = np.sort(rng.integers(0, 40, (rng.integers(0, 8), 2)), axis=1)
        covered = np.zeros(42, bool)
        for start, end in runs:
            covered[start:end] = True
        merged = merge_runs(runs)
        again = np.zeros(42, bool)
        for start, end in merged:
            again[start:end] = True
        np.testing.assert_array_equal(again, covered)
        assert (merged[1:, 0] > merged[:-1, 1]).all()


def test_empty_mask():
    runs = runs_from_mask(np.zeros((3, 4), bool))
    assert runs.shape == (0, 2)
    assert counts_from_runs(runs, (3, 4)).tolist() == [12]
    assert bbox_from_runs(runs, 3) == (0, 0, 0, 0)
    assert decode_counts("").tolist() == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("61X1~", "byte 0x7e"),
        ("61X1 3", "byte 0x20"),
        ("61é", "byte 0x3f|byte"),
        ("61X", "middle of a number"),
        ("oooooooooooo0", "groups"),
        ("O1", "run of -1"),
    ],
)
def test_damaged_text_is_refused(text, words):
    with pytest.raises(ValueError, match=words):
        decode_counts(text if text.isascii() else text.encode())


@pytest.mark.parametrize(
    ("rle", "words"),
    [
        (None, "expected a run-length mask"),
        ({"counts": [12]}, "expected a run-length mask"),
        ({"counts": [12], "size": [4, 3]}, "image of"),
        ({"counts": [5, 6], "size": [3, 4]}, "cover 11 pixels"),
        ({"counts": [13, -1], "size": [3, 4]}, "whole numbers"),
        ({"counts": encode_counts(np.array([5, 60])), "size": [3, 4]}, "cover 65 pixels"),
    ],
)
def test_masks_that_do_not_fit_the_image_are_refused(rle, words):
    with pytest.raises(ValueError, match=words):
        parse_rle(rle, (3, 4))


def test_text_bytes_and_lists_are_read_alike():
    for counts in ([5, 7], "57", b"57"):
        assert parse_rle({"counts": counts, "size": [3, 4]}, (3, 4)).tolist() == [5, 7]
