import contextlib
import json

import numpy as np
import pytest

from mmstreet.files.rle import counts_from_mask, mask_from_counts, parse_rle
from mmstreet.formats.bitmask import BitmaskWriter, read_bitmask
from mmstreet.formats.bitmask_codec import decode_bitmask
from mmstreet.formats.coco import CocoWriter
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.overlaps import resolve_overlaps
from mmstreet.formats.records import ImageRecord, InstanceRecord
from mmstreet.formats.scalabel import ScalabelWriter

SIZE_HW = (6, 8)


def instance(rows, columns, **settings):
    mask = np.zeros(SIZE_HW, bool)
    mask[rows, columns] = True
    y, x = np.nonzero(mask)
    bbox = (int(x.min()), int(y.min()), int(np.ptp(x)) + 1, int(np.ptp(y)) + 1)
    return InstanceRecord(**{"category_id": 3, "source_id": "", "bbox": bbox, "counts": counts_from_mask(mask), **settings})


def image(*instances):
    return ImageRecord("a.jpg", SIZE_HW, {}, instances)


LEFT, MIDDLE, COVERED = (slice(0, 4), slice(0, 4)), (slice(2, 6), slice(2, 6)), (slice(3, 4), slice(3, 4))


def test_later_label_owns_the_common_pixels():
    owner, visible = resolve_overlaps(image(instance(*LEFT), instance(*MIDDLE)))
    expected = np.zeros(SIZE_HW, int)
    expected[LEFT] = 1
    expected[MIDDLE] = 2
    np.testing.assert_array_equal(owner, expected)
    assert visible.tolist() == [0, 1]


@pytest.mark.parametrize(("scores", "winner"), [((0.9, 0.8), 1), ((0.8, 0.9), 2), ((0.9, 0.9), 1)])
def test_higher_score_owns_the_common_pixels(scores, winner):
    owner, _ = resolve_overlaps(image(instance(*LEFT, score=scores[0]), instance(*MIDDLE, score=scores[1])))
    assert (owner[2:4, 2:4] == winner).all()
    assert np.bincount(owner.ravel()).sum() == 48
    assert (owner > 0).sum() == 16 + 16 - 4


def test_predictions_are_written_so_that_each_pixel_belongs_to_one(tmp_path):
    record = image(instance(*LEFT, score=0.9), instance(*COVERED, score=0.3), instance(*MIDDLE, score=0.5))
    writer, report = ScalabelWriter(tmp_path / "a.json", overlaps=False), ConversionReport(instances_in=3, images_in=1)
    with writer.open() as add:
        add(writer.render(record, report))
    report.check()
    assert report.skipped_instances == {"instance is covered by others": 1}
    (frame,) = json.loads((tmp_path / "a.json").read_text())["frames"]
    masks = [mask_from_counts(parse_rle(label["rle"], SIZE_HW), SIZE_HW) for label in frame["labels"]]
    assert sum(masks).max() == 1
    assert [mask.sum() for mask in masks] == [16, 12]
    assert [(x["category"], x["score"], x["index"]) for x in frame["labels"]] == [("car", 0.9, 1), ("car", 0.5, 2)]
    assert frame["labels"][1]["box2d"] == {"x1": 2, "y1": 2, "x2": 5, "y2": 5}


@pytest.mark.parametrize(
    ("ids", "written", "noted"),
    [
        (("300", "7"), {300, 7}, False),
        (("0", "65535"), {0, 65535}, False),
        (("300", "70000"), {1, 2}, True),
        (("a", "7"), {1, 2}, True),
        (("7", "007"), {1, 2}, True),
        (("", ""), {1, 2}, False),
        (("²", "7"), {1, 2}, True),
    ],
)
def test_bitmask_keeps_ids_that_fit_and_numbers_the_others(tmp_path, ids, written, noted):
    report = ConversionReport()
    record = image(instance(*LEFT, source_id=ids[0]), instance(*MIDDLE, source_id=ids[1]))
    BitmaskWriter(tmp_path).render(record, report)
    assert {int(x.source_id) for x in decode_bitmask(read_bitmask(tmp_path / "a.png"))} == written
    assert report.notes == ({"ids do not fit a bitmask, numbered from 1": 1} if noted else {})


def test_what_no_bitmask_can_hold_is_counted(tmp_path):
    report = ConversionReport(instances_in=3, images_in=1)
    boxed = InstanceRecord(3, "5", (0, 0, 2, 2))
    BitmaskWriter(tmp_path).render(image(boxed, instance(*COVERED, source_id="6"), instance(*MIDDLE, source_id="7")), report)
    report.check()
    assert report.skipped_instances == {"box without a mask": 1, "instance is covered by others": 1}
    assert [x.source_id for x in decode_bitmask(read_bitmask(tmp_path / "a.png"))] == ["7"]


@pytest.mark.parametrize("writer_type", [CocoWriter, ScalabelWriter])
def test_a_failure_leaves_neither_file_nor_scraps(tmp_path, writer_type):
    writer = writer_type(tmp_path / "a.json")
    with contextlib.suppress(KeyboardInterrupt), writer.open() as add:
        add(writer.render(image(instance(*LEFT)), ConversionReport()))
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("writer_type", [CocoWriter, ScalabelWriter])
def test_a_file_without_images_is_still_json(tmp_path, writer_type):
    with writer_type(tmp_path / "a.json").open():
        pass
    content = json.loads((tmp_path / "a.json").read_text())
    assert content.get("images", []) == content.get("annotations", []) == content.get("frames", []) == []
