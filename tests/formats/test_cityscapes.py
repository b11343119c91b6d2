"""Cityscapes' files as published: what each of the three says, and which of them counts."""

import json

import numpy as np
import pytest
from PIL import Image, ImageDraw

from mmstreet.files.rle import mask_from_counts
from mmstreet.formats.cityscapes import CityscapesReader, CityscapesWriter
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.convert import convert
from mmstreet.formats.records import ImageRecord, read_images
from mmstreet.labels import BDD100K_INS8, CITYSCAPES19
from tests.helpers.label_scenes import MemoryReader, make_instance

SIZE_HW = (20, 30)
STEM = "train/aachen/aachen_000000_000019"
BOX = [[2, 3], [10, 3], [10, 9], [2, 9]]


def write_polygons(root, objects, stem=STEM):
    path = root / f"gtFine/{stem}_gtFine_polygons.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"imgHeight": SIZE_HW[0], "imgWidth": SIZE_HW[1], "objects": objects}))
    return path


def read_one(root, **settings):
    report = ConversionReport()
    (image,) = read_images(CityscapesReader(root, **settings), report)
    return image, report


def ids_of(image):
    """Label ids pixel by pixel, later instances on earlier ones."""
    ids = np.zeros(image.size_hw, int)
    for instance in image.instances:
        ids[mask_from_counts(instance.counts, image.size_hw)] = instance.category_id
    return ids


def test_polygons_are_filled_with_their_border_and_lie_on_each_other(tmp_path):
    around = [[0, 0], [29, 0], [29, 19], [0, 19]]
    objects = [("road", around), ("car", BOX), ("static", [[5, 5], [6, 5], [6, 6], [5, 6]]), ("person", [[20, 15], [25, 18]])]
    write_polygons(tmp_path, [{"label": label, "polygon": polygon} for label, polygon in objects])
    image, report = read_one(tmp_path)
    canvas = Image.new("L", SIZE_HW[::-1])
    for value, (_, polygon) in zip((7, 26, 0, 24), objects):  # static is void
        ImageDraw.Draw(canvas).polygon([tuple(point) for point in polygon], fill=value)
    np.testing.assert_array_equal(ids_of(image), np.asarray(canvas))
    assert (ids_of(image) == 26).sum() == 9 * 7 - 4
    assert image.name == f"{STEM}_leftImg8bit.png"
    assert report.skipped_instances == {"category 'static' is not among the classes": 1}
    assert report.instances_in == 4


def test_groups_are_crowds_and_deleted_objects_are_left_out(tmp_path):
    objects = [dict(label="cargroup", polygon=BOX), dict(label="car", polygon=BOX, deleted=1), dict(label="train", polygon=BOX)]
    write_polygons(tmp_path, objects)
    image, report = read_one(tmp_path)
    assert [(x.category_id, x.crowd) for x in image.instances] == [(26, True), (31, False)]
    assert report.skipped_instances == {"object is marked as deleted": 1}


def test_instance_ids_count_before_polygons_and_label_ids(tmp_path):
    write_polygons(tmp_path, [{"label": "road", "polygon": BOX}])
    ids = np.zeros(SIZE_HW, np.uint16)
    ids[:, :5], ids[:5, 10:], ids[8, 20], ids[9, 20], ids[19, 29] = 7, 26, 26000, 26001, 6
    Image.fromarray(ids).save(tmp_path / f"gtFine/{STEM}_gtFine_instanceIds.png")
    image, report = read_one(tmp_path)
    found = [(x.category_id, x.crowd, x.area) for x in image.instances]
    assert found == [(7, False, 100), (26, True, 100), (26, False, 1), (26, False, 1)]
    assert report.skipped_instances == {"class id is not in the table": 1}  # 6 is ground


def test_label_ids_alone_give_regions(tmp_path):
    path = tmp_path / f"{STEM}_gtCoarse_labelIds.png"
    path.parent.mkdir(parents=True)
    ids = np.zeros(SIZE_HW, np.uint8)
    ids[:3], ids[10:, 4:] = 23, 26
    Image.fromarray(ids).save(path)
    image, report = read_one(tmp_path)
    np.testing.assert_array_equal(ids_of(image), ids)
    assert report.losses == {"id outside the class table, read as void": 1}


def test_images_give_names_and_are_compared(tmp_path):
    write_polygons(tmp_path, [{"label": "road", "polygon": BOX}])
    write_polygons(tmp_path, [{"label": "road", "polygon": BOX}], stem="val/b")
    for name, size in ((f"{STEM}_leftImg8bit.jpg", SIZE_HW), ("val/b_leftImg8bit.png", (9, 9))):
        (tmp_path / "leftImg8bit" / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", size[::-1]).save(tmp_path / "leftImg8bit" / name)
    image, report = read_one(tmp_path, image_root=tmp_path / "leftImg8bit")
    assert image.name == f"{STEM}_leftImg8bit.jpg"
    assert report.skipped_images == {"image size disagrees with the file": 1}
    assert report.instances_in == 2 == 1 + report.skipped_instances.total()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ('{"imgHeight": 20, "imgWidth": 30}', "polygon file is malformed"),
        ('{"imgHeight": 20, "imgWidth": 0, "objects": []}', "polygon file is malformed"),
        ('{"imgHeight": 20, "imgWidth": 30, "objects": {}}', "polygon file is malformed"),
        ("[]", "polygon file is malformed"),
        ("{", "polygon file is malformed"),
    ],
)
def test_malformed_files_are_counted_by_name(tmp_path, text, reason):
    path = write_polygons(tmp_path, [])
    path.write_text(text)
    report = ConversionReport()
    assert not list(read_images(CityscapesReader(tmp_path), report))
    assert report.skipped_images == {reason: 1}
    assert str(path) in report.examples[reason][0]


def test_malformed_objects_are_counted_with_their_place(tmp_path):
    bad = [3, {"label": "car"}, {"label": "car", "polygon": []}, {"label": None, "polygon": BOX}, {"label": "car", "polygon": [[1, "x"]]}]
    path = write_polygons(tmp_path, [*bad, {"label": "car", "polygon": BOX}])
    image, report = read_one(tmp_path)
    assert len(image.instances) == 1
    assert report.skipped_instances == {"malformed label": 1, "malformed polygon": 3, "no category": 1}
    assert report.examples["no category"][0].startswith(f"{path}, object 3: ")


def test_bdd100ks_classes_get_cityscapes_names_and_ids(tmp_path):
    mask = np.zeros(SIZE_HW, bool)
    mask[2:5, 2:5] = True
    raw = {label.name: label.raw_id for label in BDD100K_INS8.labels}
    instances = [make_instance(np.roll(mask, shift, 1), raw[name]) for shift, name in ((0, "pedestrian"), (8, "car"), (16, "car"))]
    images = (ImageRecord("val/x.jpg", SIZE_HW, {}, tuple(instances)),)
    convert(MemoryReader(images), CityscapesWriter(tmp_path / "out", BDD100K_INS8), workers=1, progress=False)
    ids = np.asarray(Image.open(tmp_path / "out/gtFine/val/x_gtFine_instanceIds.png"))
    assert np.unique(ids).tolist() == [0, 24000, 26000, 26001]
    assert np.unique(np.asarray(Image.open(tmp_path / "out/gtFine/val/x_gtFine_labelIds.png"))).tolist() == [0, 24, 26]
    objects = json.loads((tmp_path / "out/gtFine/val/x_gtFine_polygons.json").read_text())["objects"]
    assert [x["label"] for x in objects] == ["person", "car", "car"]
    assert CityscapesReader.find_table(tmp_path / "out").names[0] == "person"
    assert set(CITYSCAPES19.names) > set(CityscapesReader.find_table(tmp_path / "out").names)
