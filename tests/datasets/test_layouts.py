"""Files are found where each layout keeps them; what is missing is said with its place and the nearest thing that is there."""

import pytest

from mmstreet.datasets.folders import read_list
from mmstreet.datasets.inventory import inventory_of_root
from mmstreet.datasets.layouts import LAYOUTS, Layout, detect_layout, layout_from_config, scan
from mmstreet.datasets.pairs import list_pairs
from mmstreet.formats.label_files import read_labels
from mmstreet.labels import get_table
from tests.helpers.street_files import make_root, write_image, write_labels


@pytest.mark.parametrize("layout", LAYOUTS)
def test_every_layout_is_recognised_by_its_files(layout, tmp_path):
    split = "." if LAYOUTS[layout].flat else "train"  # with splits inside, WildDash's folders are CamVid's
    name = "fog/a" if "*" in LAYOUTS[layout].image_dir else "a"
    found = detect_layout(make_root(tmp_path, layout, {split: [name]}))
    assert found.name == layout
    assert found.splits(tmp_path) == [split]
    assert [pair.name for pair in list_pairs(tmp_path, found, split)] == [name]


def test_the_folders_of_published_sets_are_read_as_they_are(tmp_path):
    files = {
        "camvid_segnet": ("val", "val/0016E5_07959.png", "valannot/0016E5_07959.png"),
        "idd": ("train", "leftImg8bit/train/201/frame0029_leftImg8bit.jpg", "gtFine/train/201/frame0029_gtFine_labellevel3Ids.png"),
        "vistas_v1.2": ("val", "validation/images/x-Y.jpg", "validation/v1.2/labels/x-Y.png"),
        "vistas_v2.0": ("train", "training/images/x-Y.jpg", "training/v2.0/labels/x-Y.png"),
        "acdc": ("train", "rgb_anon/fog/train/G1/f_rgb_anon.png", "gt/fog/train/G1/f_gt_labelIds.png"),
        "cityscapes_train_ids": ("val", "leftImg8bit/val/ulm/u_leftImg8bit.png", "gtFine/val/ulm/u_gtFine_labelTrainIds.png"),
    }
    for name, (split, image, label) in files.items():
        root = tmp_path / name
        write_image(root / image)
        write_labels(root / label, [[0]])
        assert detect_layout(root).name == name
        assert detect_layout(root).splits(root) == [split]
        (pair,) = list_pairs(root, LAYOUTS[name], split)
        assert (pair.image_path, pair.label_path) == (str(root / image), str(root / label))


def test_a_star_stands_for_folders_whose_names_begin_the_names_of_images(tmp_path):
    for weather, split in (("fog", "train"), ("night", "train"), ("night", "val")):
        make_root(tmp_path, "acdc", {split: [f"{weather}/GOPR1/a"]})
    write_image(tmp_path / "rgb_anon/rain/test/GOPR2/b_rgb_anon.png")
    layout = detect_layout(tmp_path)
    assert layout.splits(tmp_path) == ["test", "train", "val"]
    assert [pair.name for pair in list_pairs(tmp_path, layout, "train")] == ["fog/GOPR1/a", "night/GOPR1/a"]
    assert [(pair.name, pair.label_path) for pair in list_pairs(tmp_path, layout, "test")] == [("rain/GOPR2/b", None)]
    inventory = inventory_of_root(tmp_path)
    assert (len(inventory.pairs), inventory.orphans) == (4, [])
    (tmp_path / "gt/night/val/GOPR1/a_gt_labelIds.png").unlink()
    (orphan,) = inventory_of_root(tmp_path).orphans
    assert "rgb_anon/night/val/GOPR1/a_rgb_anon.png" in orphan.message
    assert "gt/night/val/GOPR1" in orphan.why


def test_ids_and_colours_of_a_layout_are_void(tmp_path):
    table = get_table([{"name": "road", "id": 1, "color": [9, 9, 9]}]).with_void([7, (255, 0, 255)])
    ids = write_labels(tmp_path / "a.png", [[1, 7, 255]])
    colors = write_labels(tmp_path / "b.png", [[[9, 9, 9], [255, 0, 255], [0, 0, 0]]])
    assert read_labels(ids, table).tolist() == read_labels(colors, table).tolist() == [[0, 255, 255]]
    given = {"image_dir": "a", "label_dir": "b", "image_suffix": ".jpg", "label_suffix": ".png"}
    assert layout_from_config({**given, "void": [7, [255, 0, 255]]}).void == (7, (255, 0, 255))
    with pytest.raises(ValueError, match="void must be a list"):
        layout_from_config({**given, "void": [300]})


def test_label_ids_come_before_train_ids_where_both_are_there(tmp_path):
    make_root(tmp_path, "cityscapes_train_ids", {"train": ["a"]})
    make_root(tmp_path, "cityscapes", {"train": ["a"]})
    assert detect_layout(tmp_path).name == "cityscapes"


def test_endings_may_be_in_upper_case_or_spelled_jpeg(tmp_path):
    make_root(tmp_path, "bdd100k_10k", {"train": ["a", "b", "c"]})
    for name, ending in (("a", "JPG"), ("b", "jpeg"), ("c", "JPEG")):
        image = tmp_path / f"images/10k/train/{name}.jpg"
        image.rename(image.with_suffix(f".{ending}"))
    label = tmp_path / "labels/sem_seg/masks/train/a.png"
    label.rename(label.with_suffix(".PNG"))
    pairs = list_pairs(tmp_path, LAYOUTS["bdd100k_10k"], "train", ["c.JPEG", "a"])
    assert [(p.image_path[-6:], p.label_path[-5:]) for p in pairs] == [("c.JPEG", "c.png"), ("/a.JPG", "a.PNG")]


def test_two_files_of_one_name_are_refused(tmp_path):
    for name in ("a.jpg", "a.jpeg"):
        write_image(tmp_path / name)
    with pytest.raises(ValueError, match=r"a\.jpe?g' and .*a\.jpe?g' have the same name but for their ending"):
        scan(tmp_path, [".jpg"])


def test_hidden_files_do_not_count(tmp_path):
    for name in ("a.jpg", "._a.jpg", ".thumbs/b.jpg", "__MACOSX/c.jpg"):
        write_image(tmp_path / name)
    assert list(scan(tmp_path, [".jpg"])) == ["a"]


OWN = dict(image_dir="frames", label_dir="masks", image_suffix=".png", label_suffix="_mask.png")


def test_a_layout_of_ones_own_may_keep_images_and_labels_in_one_folder(tmp_path):
    layout = layout_from_config({**OWN, "label_dir": "frames"})
    write_image(tmp_path / "frames/train/a.png")
    write_labels(tmp_path / "frames/train/a_mask.png", [[0]])
    assert [(p.image_path[-6:], p.label_path[-11:]) for p in list_pairs(tmp_path, layout, "train")] == [("/a.png", "/a_mask.png")]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (dict(image_sufix=".png"), "unknown key 'image_sufix'; did you mean 'image_suffix'"),
        (dict(unlisted="void"), "unlisted must be 'error' or 'ignore', not 'void'"),
        (dict(label_suffix=".jpg"), "a JPEG changes ids"),
        (dict(label_suffix=".bmp"), "label maps have to be PNG files"),
        (dict(image_suffix="jpg"), "a suffix ends in a dot and letters"),
    ],
)
def test_a_wrong_layout_is_refused_with_the_reason(change, reason):
    with pytest.raises(ValueError, match=reason):
        layout_from_config({**OWN, **change})
    assert isinstance(layout_from_config(OWN), Layout)


def test_an_unknown_root_lists_what_was_looked_for_and_what_is_there(tmp_path):
    (tmp_path / "pictures").mkdir()
    with pytest.raises(FileNotFoundError, match=r"images/10k and labels/sem_seg/masks.*holds folder pictures"):
        detect_layout(tmp_path)


def test_files_are_listed_sorted_with_subfolders(tmp_path):
    for name in ("b.jpg", "a.jpg", "city/c.jpg", "other.png"):
        write_image(tmp_path / name)
    assert list(scan(tmp_path, [".jpg"])) == ["a", "b", "city/c"]


def test_pairs_follow_the_layout(tmp_path):
    make_root(tmp_path, "bdd100k_2018", {"train": ["b", "a"]})
    pairs = list_pairs(tmp_path, LAYOUTS["bdd100k_2018"], "train")
    assert [p.image_path for p in pairs] == [str(tmp_path / f"seg/images/train/{n}.jpg") for n in "ab"]
    assert [p.label_path for p in pairs] == [str(tmp_path / f"seg/labels/train/{n}_train_id.png") for n in "ab"]


@pytest.mark.parametrize("line", ["a", "a.jpg", "a.png", "train/a", "train/a.jpg", "./a", "./train/a.jpg", "images/10k/train/a.jpg"])
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


def test_a_missing_label_says_what_lies_there(tmp_path):
    make_root(tmp_path, "camvid11", {"train": ["a", "b"]})
    (tmp_path / "labels/train/b.png").rename(tmp_path / "labels/train/b.jpg")
    with pytest.raises(FileNotFoundError, match=r"first '.*labels/train/b\.png': found instead: 'b\.jpg'; a JPEG changes ids"):
        list_pairs(tmp_path, LAYOUTS["camvid11"], "train")


def test_list_files_may_begin_with_a_byte_order_mark(tmp_path):
    (tmp_path / "train.txt").write_text("a\nb\n", encoding="utf-8-sig")
    assert read_list(tmp_path / "train.txt") == ["a", "b"]


@pytest.mark.parametrize(
    ("encoding", "reason"), [("utf-16", "looks like UTF-16"), ("utf-16-le", "looks like UTF-16"), ("latin-1", "is not UTF-8")]
)
def test_list_files_in_other_encodings_are_named(encoding, reason, tmp_path):
    (tmp_path / "train.txt").write_text("straße\n", encoding=encoding)
    with pytest.raises(ValueError, match=rf"train\.txt .*{reason}.*save it as UTF-8"):
        read_list(tmp_path / "train.txt")
