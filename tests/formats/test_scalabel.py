import numpy as np
import pytest
from PIL import Image

from mmstreet.files.rle import mask_from_counts
from mmstreet.formats.bitmask import write_bitmask
from mmstreet.formats.bitmask_codec import encode_bitmask
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.records import Task
from mmstreet.formats.scalabel import ScalabelReader
from tests.helpers.instance_labels import SIZE_HW, frame, rectangle


def read(reader, raw):
    report = ConversionReport()
    image = reader.read(Task(raw["name"], len(raw["labels"] or []), raw), report)
    report.images_out, report.instances_out = (0, 0) if image is None else (1, len(image.instances))
    report.check()
    return image, report


def car(label_id, x=1, **changes):
    return {"id": label_id, "category": "car", "poly2d": rectangle(x, 5, 4, 4), **changes}


def write_squares(path, ids, categories, *, size_hw=SIZE_HW, **flags):
    """A bitmask with a 4 × 4 square per instance, ten pixels apart."""
    owner = np.zeros(size_hw, int)
    for row in range(len(ids)):
        owner[5:9, 10 * row + 1 : 10 * row + 5] = row + 1
    path.mkdir(exist_ok=True)
    write_bitmask(path / "a.png", encode_bitmask(owner, categories, ids, **flags))


def test_box_of_a_mask_is_the_one_around_its_pixels():
    image, _ = read(ScalabelReader(""), frame("a.jpg", [car(1, box2d={"x1": 0, "y1": 0, "x2": 30, "y2": 30})]))
    assert image.instances[0].bbox == (1, 5, 4, 4)


def test_run_lengths_come_before_polygons():
    rle = {"counts": [0, 3, 40 * 60 - 3], "size": list(SIZE_HW)}
    image, _ = read(ScalabelReader(""), frame("a.jpg", [car(1, rle=rle)]))
    assert mask_from_counts(image.instances[0].counts, SIZE_HW).sum() == 3
    assert image.instances[0].bbox == (0, 0, 1, 3)


def test_size_comes_from_the_json_then_the_file_then_the_default(tmp_path):
    Image.new("RGB", (70, 30)).save(tmp_path / "a.jpg")
    raw = frame("a.jpg", [car(1)], size=None)
    assert read(ScalabelReader(""), frame("a.jpg", []))[0].size_hw == SIZE_HW
    assert read(ScalabelReader("", image_root=tmp_path), raw)[0].size_hw == (30, 70)
    image, report = read(ScalabelReader(""), raw)
    assert image.size_hw == (720, 1280)
    assert report.notes == {"image size unknown, default taken": 1}


def test_bitmask_gives_masks_and_flags_and_json_gives_ids_and_weather(tmp_path):
    write_squares(tmp_path, [300, 7], [3, 1], truncated=[True, False], ignored=[False, True])
    raw = frame("a.jpg", [car(7, category="person"), car("300", 31)])
    image, report = read(ScalabelReader("", bitmask_root=tmp_path), raw)
    assert not report.notes
    assert not report.skipped_instances
    assert image.attributes["weather"] == "rainy"
    found = {x.source_id: (x.category_id, x.bbox, x.truncated, x.ignored) for x in image.instances}
    assert found == {"300": (3, (1, 5, 4, 4), True, False), "7": (1, (11, 5, 4, 4), False, True)}


def test_bitmask_that_numbers_labels_by_place_finds_their_ids(tmp_path):
    """The published bitmasks do so: the second label of a frame has id 2, whatever its id in the JSON is."""
    write_squares(tmp_path, [1, 2, 3], [3, 1, 3])
    raw = frame("a.jpg", [car("0045-a"), car("0046", category="person"), car("0047")])
    image, report = read(ScalabelReader("", bitmask_root=tmp_path), raw)
    assert [(x.source_id, x.category_id) for x in image.instances] == [("0045-a", 3), ("0046", 1), ("0047", 3)]
    assert not report.notes


def test_labels_without_pixels_and_pixels_without_labels_are_told_apart(tmp_path):
    write_squares(tmp_path, [300, 9, 8], [3, 1, 200])
    image, report = read(ScalabelReader("", bitmask_root=tmp_path), frame("a.jpg", [car(300), car(301), car(301)]))
    assert sorted(x.source_id for x in image.instances) == ["300", "9"]
    assert report.skipped_instances == {"label owns no pixel of the bitmask": 2, "category id is not in the table": 1}
    assert report.notes == {"bitmask instance without a label, kept": 2}


@pytest.mark.parametrize("kind", ["missing", "cut", "size"])
def test_bitmasks_that_cannot_be_used_are_counted(tmp_path, kind):
    if kind != "missing":
        write_squares(tmp_path, [1], [3], size_hw=(30, 30) if kind == "size" else SIZE_HW)
    if kind == "cut":
        (tmp_path / "a.png").write_bytes((tmp_path / "a.png").read_bytes()[:40])
    image, report = read(ScalabelReader("", bitmask_root=tmp_path), frame("a.jpg", [car(1), car(2)]))
    assert image is None
    (reason,) = report.skipped_images
    assert report.skipped_instances == {reason: 2}
    assert report.examples[reason][0].startswith("frame 'a.jpg': ")
