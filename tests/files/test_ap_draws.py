"""What a test keeps of its average precisions comes back as it was, and nothing else is taken for it."""

import numpy as np
import pytest

from mmstreet.files.ap_draws import ApDraws, read_ap_draws
from mmstreet.files.atomic import write_arrays


def make(scores=((0.1, 0.2), (0.3, np.nan))):
    return ApDraws(["a", "b", "c"], np.array([[1, 0], [2, 0], [0, 0]]), ["coco/AP", "coco/AP/train"], np.array(scores))


def test_it_comes_back(tmp_path):
    found = read_ap_draws(write_arrays(make().arrays(), tmp_path / "a.npz"))
    assert (found.images, found.names) == (["a", "b", "c"], ["coco/AP", "coco/AP/train"])
    assert np.array_equal(found.truth, make().truth)
    assert np.array_equal(found.scores, make().scores.astype(np.float32), equal_nan=True)


@pytest.mark.parametrize(
    "change",
    [
        {"truth": np.zeros((2, 2), np.int32)},
        {"scores": np.zeros((3, 2), np.float32)},
        {"scores": np.zeros((2, 2), np.float64)},
        {"scores": np.zeros(2, np.float32)},
        {"names": np.array([1, 2])},
        {"images": np.array([{}, {}, {}], object)},
    ],
    ids=str,
)
def test_other_arrays_are_refused(tmp_path, change):
    np.savez(tmp_path / "a.npz", **(make().arrays() | change))
    with pytest.raises(ValueError, match=r"it holds arrays|no archive"):
        read_ap_draws(tmp_path / "a.npz")


@pytest.mark.parametrize("content", [b"", b"hello", b"PK\x03\x04" + b"\0" * 40])
def test_what_is_no_archive_is_said_to_be_none(tmp_path, content):
    (tmp_path / "a.npz").write_bytes(content)
    with pytest.raises(ValueError, match="no archive of average precisions"):
        read_ap_draws(tmp_path / "a.npz")


def test_without_a_part_it_is_refused(tmp_path):
    arrays = make().arrays()
    del arrays["truth"]
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match="no archive of average precisions"):
        read_ap_draws(tmp_path / "a.npz")


def test_tests_of_other_labels_or_draws_are_not_compared():
    other = ApDraws(["a", "b", "c"], make().truth + 1, make().names, make().scores)
    assert other.differences_to(make()) == {}
    assert make(((0.1, 0.2, 0.3), (0, 0, 0))).differences_to(make()) == {}
