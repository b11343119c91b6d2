"""The split is the same everywhere, and its list files are what the data set reads."""

import random

import pytest

from mmstreet.datasets.folders import read_list
from mmstreet.datasets.layouts import LAYOUTS
from mmstreet.datasets.pairs import list_pairs
from mmstreet.datasets.splits import split_names, write_split
from tests.helpers.street_files import make_root, write_image

NAMES = [f"train/{i:04d}" for i in range(7000)] + [f"val/{i:04d}" for i in range(1000)]


def test_8000_names_become_6400_and_1600_without_overlap_or_loss():
    train, val = split_names(NAMES)
    assert (len(train), len(val)) == (6400, 1600)
    assert sorted(train + val) == NAMES


def test_the_order_of_listing_changes_nothing():
    shuffled = random.Random(1).sample(NAMES, len(NAMES))
    assert split_names(shuffled) == split_names(NAMES)


def test_another_seed_gives_another_split_of_the_same_size():
    first, second = split_names(NAMES, seed=0)[1], split_names(NAMES, seed=1)[1]
    assert len(first) == len(second)
    # two independent draws of 20 % share 4 % of 8,000 = 320 names; the standard deviation is about 14
    assert 250 < len(set(first) & set(second)) < 390


def test_both_published_folders_are_drawn_from_evenly():
    val = split_names(NAMES)[1]
    # 1,000 names at 20 % are 200, standard deviation about 12
    assert 150 < sum(name.startswith("val/") for name in val) < 250


def test_a_name_that_is_added_moves_few_others():
    before, after = set(split_names(NAMES)[0]), set(split_names([*NAMES, "val/new"])[0])
    assert len(before - after) <= 1


@pytest.mark.parametrize(
    ("names", "share", "message"),
    [(["a", "a"], 0.5, "'a' is there more than once"), (["a"], 0.5, "leave one side"), (["a", "b"], 1.0, "within")],
)
def test_what_cannot_be_split_is_refused(names, share, message):
    with pytest.raises(ValueError, match=message):
        split_names(names, train_share=share)


def test_list_files_name_labelled_images_only_and_read_back(tmp_path):
    make_root(tmp_path, "bdd100k_10k", {"train": list("abcdefgh"), "val": list("yz")})
    write_image(tmp_path / "images/10k/test/unlabelled.jpg")
    written = write_split(tmp_path, seed=3)
    assert {side: count for side, (_, count) in written.items()} == {"train": 8, "val": 2}
    names = [name for path, _ in written.values() for name in read_list(path)]
    assert sorted(names) == [f"train/{n}" for n in "abcdefgh"] + ["val/y", "val/z"]
    pairs = list_pairs(tmp_path, LAYOUTS["bdd100k_10k"], "train", read_list(tmp_path / "splits/train.txt"))
    assert len(pairs) == 8


def test_writing_again_gives_the_same_bytes_and_another_split_is_not_overwritten(tmp_path):
    make_root(tmp_path, "camvid11", {"train": list("abcdefgh")})
    first = {path: path.read_bytes() for path, _ in write_split(tmp_path).values()}
    assert {path: path.read_bytes() for path, _ in write_split(tmp_path).values()} == first
    with pytest.raises(FileExistsError, match="is another split"):
        write_split(tmp_path, train_share=0.5)
    assert {path: path.read_bytes() for path in first} == first
