"""Files are found where each layout keeps them; what is missing is said with its place and the nearest thing that is there."""

import pytest

from mmstreet.datasets.layouts import LAYOUTS, detect_layout, list_files, list_pairs, read_list
from tests.helpers.street_files import make_root, write_image


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name != "wilddash2"])  # its folders are CamVid's
def test_every_layout_is_recognised_by_its_folders(layout, tmp_path):
    assert detect_layout(make_root(tmp_path, layout, {"train": ["a"]})).name == layout


def test_an_unknown_root_lists_what_was_looked_for_and_what_is_there(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(FileNotFoundError, match=r"images/10k and labels/sem_seg/masks.*holds folder pictures"):
        detect_layout(tmp_path)


def test_files_are_listed_sorted_with_subfolders(tmp_path):
    for name in ("b.jpg", "a.jpg", "city/c.jpg", "other.png"):
        write_image(tmp_path / name)
    assert list_files(tmp_path, ".jpg") == ["a", "b", "city/c"]


def test_pairs_follow_the_layout(tmp_path):
    make_root(tmp_path, "bdd100k_2018", {"train": ["b", "a"]})
    pairs = list_pairs(tmp_path, LAYOUTS["bdd100k_2018"], "train")
    assert [p.image_path for p in pairs] == [str(tmp_path / f"seg/images/train/{n}.jpg") for n in "ab"]
    assert [p.label_path for p in pairs] == [str(tmp_path / f"seg/labels/train/{n}_train_id.png") for n in "ab"]


@pytest.mark.parametrize("line", ["a", "a.jpg", "a.png", "train/a", "train/a.jpg"])
def test_list_names_may_carry_a_suffix_and_a_split(line, tmp_path):
    make_root(tmp_path, "bdd100k_10k", {"train": ["a", "b"]})
    (pair,) = list_pairs(tmp_path, LAYOUTS["bdd100k_10k"], "train", [line])
    assert pair.image_path.endswith("images/10k/train/a.jpg")
    assert pair.label_path.endswith("labels/sem_seg/masks/train/a.png")


def test_a_list_keeps_its_order_and_may_mix_splits(tmp_path):
    make_root(tmp_path, "bdd100k_10k", {"train": ["a"], "val": ["z"]})
    pairs = list_pairs(tmp_path, LAYOUTS["bdd100k_10k"], "train", ["val/z", "train/a"])
    assert [p.image_path.split("10k/")[1] for p in pairs] == ["val/z.jpg", "train/a.jpg"]


def test_no_image_names_folder_suffix_and_what_is_there(tmp_path):
    make_root(tmp_path, "bdd100k_10k", {"train": []})
    write_image(tmp_path / "images/10k/train/a.png")
    with pytest.raises(FileNotFoundError, match=r"no image '\*\.jpg' in '.*images/10k/train'.*holds 1 file '\.png'"):
        list_pairs(tmp_path, LAYOUTS["bdd100k_10k"], "train")


def test_a_missing_folder_gets_the_nearest_name(tmp_path):
    make_root(tmp_path, "camvid11", {"train": ["a"]})
    with pytest.raises(FileNotFoundError, match=r"no folder 'trian'.*holds folder train; did you mean 'train'\?"):
        list_pairs(tmp_path, LAYOUTS["camvid11"], "trian")


def test_a_missing_label_is_named(tmp_path):
    make_root(tmp_path, "camvid11", {"train": ["a", "b"]})
    (tmp_path / "labels/train/b.png").unlink()
    with pytest.raises(FileNotFoundError, match=r"2 images need a label, but 1 of the files do not exist, first '.*labels/train/b\.png'"):
        list_pairs(tmp_path, LAYOUTS["camvid11"], "train")


def test_a_listed_image_that_is_not_there_is_named(tmp_path):
    make_root(tmp_path, "camvid11", {"train": ["frame_01"]})
    with pytest.raises(FileNotFoundError, match=r"first '.*frame_0l\.jpg'.*did you mean 'frame_01\.jpg'"):
        list_pairs(tmp_path, LAYOUTS["camvid11"], "train", ["frame_0l"])


def test_a_test_split_may_be_without_labels(tmp_path):
    write_image(tmp_path / "images/10k/test/a.jpg")
    (pair,) = list_pairs(tmp_path, LAYOUTS["bdd100k_10k"], "test")
    assert pair.label_path is None


def test_list_files_skip_blank_lines_and_comments(tmp_path):
    path = tmp_path / "train.txt"
    path.write_text("# two of ten\n\na\n  b.jpg \n")
    assert read_list(path) == ["a", "b.jpg"]


def test_a_list_file_that_is_missing_or_empty_says_so(tmp_path):
    (tmp_path / "train.txt").write_text("# nothing\n")
    with pytest.raises(ValueError, match="holds no name"):
        read_list(tmp_path / "train.txt")
    with pytest.raises(FileNotFoundError, match=r"did you mean 'train\.txt'"):
        read_list(tmp_path / "trains.txt")
