"""YOLO's folders as tools write them, and lines that are none."""

import io

import numpy as np
import pytest
import yaml
from PIL import Image

from mmstreet.files.rle import mask_from_counts
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.convert import convert
from mmstreet.formats.detect import detect_format
from mmstreet.formats.records import ImageRecord, read_images
from mmstreet.formats.yolo import YoloReader, YoloWriter
from mmstreet.labels import BDD100K_INS8
from tests.helpers.label_scenes import MemoryReader


def write(root, name, text, *, images="images", labels="labels"):
    for folder, suffix in ((images, ".jpg"), (labels, ".txt")):
        (root / folder / name).parent.mkdir(parents=True, exist_ok=True)
        path = root / folder / f"{name}{suffix}"
        Image.new("RGB", (8, 4)).save(path) if suffix == ".jpg" else path.write_text(text)


def read(path, image_root=None):
    report = ConversionReport()
    table = YoloReader.find_table(path) or BDD100K_INS8
    return {image.name: image for image in read_images(YoloReader(path, table, image_root), report)}, report


@pytest.mark.parametrize("layout", ["labels/SPLIT", "SPLIT/labels"])
def test_both_orders_of_split_and_kind_are_read(tmp_path, layout):
    for split in ("train", "valid"):
        labels = layout.replace("SPLIT", split)
        write(tmp_path, "a", "1 0.25 0.25 0.5 0.25 0.5 0.75 0.25 0.75\n", images=labels.replace("labels", "images"), labels=labels)
    (tmp_path / "data.yaml").write_text("nc: 2\nnames: [road, tram]\n")
    (tmp_path / "README.txt").write_text("exported")
    assert detect_format(tmp_path) == "yolo"
    images, report = read(tmp_path)
    assert set(images) == {"train/a.jpg", "valid/a.jpg"}
    mask = np.zeros((4, 8), bool)
    mask[1:3, 2:4] = True  # 0.25 and 0.5 of 8, 0.25 and 0.75 of 4
    for image in images.values():
        (instance,) = image.instances
        np.testing.assert_array_equal(mask_from_counts(instance.counts, (4, 8)), mask)
        assert instance.category_id == 1
        assert image.picture.is_file()
    assert not report.skipped_instances


def test_names_may_be_a_dict_and_lie_above(tmp_path):
    write(tmp_path, "train/a", "0 0.5 0.5 0.5 0.5\n")
    (tmp_path / "data.yaml").write_text("names:\n  0: 'Große Straße'\n  1: b\n")
    table = YoloReader.find_table(tmp_path / "labels/train")
    assert table.names == ("Große Straße", "b")
    (image,) = read(tmp_path / "labels/train")[0].values()
    assert (image.instances[0].bbox, image.instances[0].counts) == ((2, 1, 4, 2), None)


def test_labels_elsewhere_take_the_images_that_are_named(tmp_path):
    write(tmp_path, "x/a", "3 0.1 0.1 0.9 0.1 0.9 0.9\n", images="photos", labels="txt")
    with pytest.raises(FileNotFoundError, match=r"there is no .*: name the folder of images of .* with --images"):
        read(tmp_path / "txt")
    images, _ = read(tmp_path / "txt", tmp_path / "photos")
    assert list(images) == ["x/a.jpg"]
    write(tmp_path, "val/b", "3 0.1 0.1 0.9 0.1 0.9 0.9\n", images="pictures")
    images, _ = read(tmp_path / "labels/val", tmp_path / "pictures/val")
    assert list(images) == ["b.jpg"]


BAD = {
    "no category": ["9 0.1 0.1 0.9 0.1 0.9 0.9", "-1 0.1 0.1 0.9 0.1 0.9 0.9", "car 0.1 0.1 0.9 0.1 0.9 0.9"],
    "malformed number": ["1 0.1 x 0.9 0.1 0.9 0.9"],
    "malformed polygon": ["1 0.1 0.1 0.9 0.1 0.9", "1 0.1 0.1 nan 0.1 0.9 0.9", "1 10 10 90 10 90 90", "1 0.1 0.1"],
    "mask holds no pixel of the image": ["1 0.1 0.1 0.11 0.1 0.11 0.11"],
}


def test_lines_that_say_nothing_are_counted_with_file_and_number(tmp_path):
    lines = [line for some in BAD.values() for line in some]
    write(tmp_path, "a", "\n".join(["", *lines, "1 0 0 1 0 1 1 0 1"]))
    images, report = read(tmp_path)
    assert report.skipped_instances == {reason: len(some) for reason, some in BAD.items()}
    assert report.examples["malformed number"][0].startswith(f"{tmp_path}/labels/a.txt, line 5: ")
    assert [x.area for x in images["a.jpg"].instances] == [32]


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("train/a.jpg", "val/b.jpg"), {"train": "images/train", "val": "images/val"}),
        (("a.jpg",), {"train": "images", "val": "images"}),
        (("val/a.jpg", "test/b.jpg"), {"train": "images/val", "val": "images/val", "test": "images/test"}),
        (
            ("a/train/1.jpg", "b/training/2.jpg"),
            {"train": ["images/a/train", "images/b/training"], "val": ["images/a/train", "images/b/training"]},
        ),
    ],
)
def test_data_yaml_names_the_splits_that_are_there(tmp_path, names, splits):
    images = tuple(ImageRecord(name, (4, 8), {}, ()) for name in names)
    convert(MemoryReader(images), YoloWriter(tmp_path / "out", BDD100K_INS8), workers=1, progress=False)
    found = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert found.pop("names") == dict(enumerate(BDD100K_INS8.names))
    assert found == splits


def test_labels_lie_where_ultralytics_looks_for_them(tmp_path):
    picture = io.BytesIO()
    Image.new("RGB", (8, 4)).save(picture, "PNG")
    images = tuple(ImageRecord(name, (4, 8), {}, (), picture=picture.getvalue()) for name in ("images/10k/train/a.png", "labels/b.png"))
    convert(MemoryReader(images), YoloWriter(tmp_path / "out", BDD100K_INS8), workers=1, progress=False, copy_images=True)
    found = [str(path.relative_to(tmp_path)) for path in (tmp_path / "out").rglob("*.png")]
    assert sorted(found) == ["out/images/10k/train/a.png", "out/images/b.png"]
    for path in found:  # the last /images/ becomes /labels/
        assert (tmp_path / "/labels/".join(path.rsplit("/images/", 1))).with_suffix(".txt").is_file()


def test_splits_that_no_folder_tells_become_lists(tmp_path):
    images = tuple(ImageRecord(f"all/{i}.jpg", (4, 8), {}, (), split="val" if i == 1 else "train") for i in range(3))
    convert(MemoryReader(images), YoloWriter(tmp_path / "out", BDD100K_INS8), workers=1, progress=False)
    found = yaml.safe_load((tmp_path / "out/data.yaml").read_text())
    assert (found["train"], found["val"]) == ("train.txt", "val.txt")
    assert (tmp_path / "out/train.txt").read_text().split() == ["./images/all/0.jpg", "./images/all/2.jpg"]
    assert (tmp_path / "out/val.txt").read_text().split() == ["./images/all/1.jpg"]
    assert [task.payload[0].name for task in YoloReader(tmp_path / "out", BDD100K_INS8, tmp_path).tasks()] == ["0.txt", "1.txt", "2.txt"]


def test_names_that_are_none_are_refused(tmp_path):
    write(tmp_path, "a", "")
    for text in ("names: 3", "names: {1: a}", "train: x", "names: [a", "[1]"):
        (tmp_path / "data.yaml").write_text(text)
        with pytest.raises(ValueError, match=r"data\.yaml must have 'names'"):
            YoloReader.find_table(tmp_path)
