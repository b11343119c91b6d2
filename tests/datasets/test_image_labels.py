import json

import numpy as np
import pytest
from PIL import Image

from mmstreet.datasets.image_labels import ImageLabels, derive_image_labels, describe_image_labels, load_image_labels
from mmstreet.datasets.layouts import LAYOUTS
from mmstreet.labels import CAMVID11, CITYSCAPES19

LABELS = ImageLabels(("road", "car", "tree"), {"a/1": (0, 2), "a/2": (), "ü": (1,)})


def write_mask(path, rows):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array(rows, np.uint8)).save(path)


def touch_image(path):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()


def test_file_gives_back_what_was_saved(tmp_path):
    LABELS.save(tmp_path / "image_labels.json")
    assert load_image_labels(tmp_path / "image_labels.json") == LABELS
    assert load_image_labels(tmp_path / "image_labels.json", classes=["road", "car", "tree"]) == LABELS
    content = json.loads((tmp_path / "image_labels.json").read_text())
    assert content == {"classes": ["road", "car", "tree"], "labels": {"a/1": [0, 2], "a/2": [], "ü": [1]}}
    ImageLabels(("road",), {}).save(tmp_path / "none.json")
    assert len(load_image_labels(tmp_path / "none.json")) == 0


def test_vectors_mark_the_classes_shown():
    assert LABELS.vector("a/1").tolist() == [True, False, True]
    assert LABELS.vector("a/2").tolist() == [False, False, False]
    assert LABELS.matrix().tolist() == [[True, False, True], [False, False, False], [False, True, False]]


def test_missing_image_is_named_with_its_nearest_key():
    with pytest.raises(KeyError, match=r"no image-level labels for 'a/3'; the nearest key is 'a/[12]'"):
        LABELS.vector("a/3")
    with pytest.raises(KeyError, match="there are no entries at all"):
        ImageLabels(("road",), {}).vector("a")


@pytest.mark.parametrize("ids", [(3,), (-1,), (0.5,), (True,), ("car",)])
def test_ids_that_are_no_class_are_refused_with_their_image(ids):
    with pytest.raises(ValueError, match="image 'b': class ids must be whole numbers from 0 to 2"):
        ImageLabels(("road", "car", "tree"), {"a": (0,), "b": ids})


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"classes": ["a"], "labels": {"x": [0', "is not whole JSON"),
        ("[]", "is no file of image-level labels"),
        ('{"classes": ["a"]}', "is no file of image-level labels"),
        ('{"classes": ["a"], "labels": {"x": 0}}', "is no file of image-level labels"),
        ('{"classes": ["a", "a"], "labels": {}}', "class names that differ"),
        ('{"classes": ["a"], "labels": {"x": [1]}}', r"l\.json: image 'x': class ids"),
        ('{"classes": [["a"]], "labels": {}}', r"l\.json"),
    ],
)
def test_wrong_files_are_explained(tmp_path, text, words):
    (tmp_path / "l.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        load_image_labels(tmp_path / "l.json")


def test_other_classes_and_missing_files_are_explained(tmp_path):
    LABELS.save(tmp_path / "l.json")
    with pytest.raises(ValueError, match=r"is made for other classes: expected \['car', 'road', 'tree'\]"):
        load_image_labels(tmp_path / "l.json", classes=("car", "road", "tree"))
    with pytest.raises(FileNotFoundError, match=r"make them with mmstreet image-labels"):
        load_image_labels(tmp_path / "none.json")


@pytest.mark.parametrize("workers", [1, 2])
def test_masks_give_the_classes_with_enough_pixels(tmp_path, workers):
    masks = {"b": [[0, 0, 3], [3, 3, 255]], "a": [[8, 255, 255], [255, 255, 255]], "c": [[255] * 3] * 2}
    for name, rows in masks.items():
        touch_image(tmp_path / "images" / "train" / f"{name}.jpg")
        write_mask(tmp_path / "labels" / "train" / f"{name}.png", rows)
    found = derive_image_labels(tmp_path, LAYOUTS["camvid11"], "train", workers=workers)
    assert found == ImageLabels(CAMVID11.names, {"a": (8,), "b": (0, 3), "c": ()})
    assert list(found.labels) == ["a", "b", "c"]
    assert derive_image_labels(tmp_path, LAYOUTS["camvid11"], "train", min_pixels=3, workers=1).labels == {"a": (), "b": (3,), "c": ()}


def test_cityscapes_ids_on_disk_become_train_ids(tmp_path):
    touch_image(tmp_path / "leftImg8bit" / "train" / "ulm" / "ulm_01_leftImg8bit.png")
    write_mask(tmp_path / "gtFine" / "train" / "ulm" / "ulm_01_gtFine_labelIds.png", [[7, 26, 0, 33, 4]])
    found = derive_image_labels(tmp_path, LAYOUTS["cityscapes"], "train", workers=1)
    assert found == ImageLabels(CITYSCAPES19.names, {"ulm/ulm_01": (0, 13, 18)})


def test_what_cannot_be_derived_is_explained(tmp_path):
    touch_image(tmp_path / "images" / "test" / "a.jpg")
    with pytest.raises(FileNotFoundError, match="has no masks"):
        derive_image_labels(tmp_path, LAYOUTS["camvid11"], "test", workers=1)
    with pytest.raises(ValueError, match="min_pixels must be 1 or more"):
        derive_image_labels(tmp_path, LAYOUTS["camvid11"], "train", min_pixels=0)
    touch_image(tmp_path / "images" / "train" / "a.jpg")
    write_mask(tmp_path / "labels" / "train" / "a.png", [[200]])
    with pytest.raises(ValueError, match=r"200.*a\.png|a\.png.*200"):
        derive_image_labels(tmp_path, LAYOUTS["camvid11"], "train", workers=1)


def test_three_images_counted_by_hand():
    stats = describe_image_labels(ImageLabels(("road", "car", "tree", "train"), {"a": (0, 1), "b": (0, 1, 2), "c": (0,), "d": ()}))
    assert stats["images"] == 4
    assert stats["mean_classes_per_image"] == 1.5
    assert stats["images_by_num_classes"] == [1, 1, 1, 1, 0]
    assert stats["positive"] == [3, 2, 1, 0]
    assert stats["negative"] == [1, 2, 3, 4]
    third = pytest.approx(1 / 3)
    assert stats["co_occurrence"] == [
        [None, pytest.approx(2 / 3), third, 0],
        [1, None, 0.5, 0],
        [1, 1, None, 0],
        [None, None, None, None],
    ]
    # 0, 0, 0 | 1/3 | 1/2 | 2/3 | 1, 1, 1
    assert stats["ratio_histogram"] == [3, 0, 0, 1, 0, 1, 1, 0, 0, 3]


def test_numbers_are_plain_json():
    labels = ImageLabels(("road", "car"), {"a": (0, 1)})
    assert json.loads(json.dumps(describe_image_labels(labels))) == describe_image_labels(labels)


def test_an_empty_set_has_no_mean():
    stats = describe_image_labels(ImageLabels(("road", "car"), {}))
    assert stats["mean_classes_per_image"] is None
    assert stats["positive"] == [0, 0]
    assert sum(stats["ratio_histogram"]) == 0
