import json
import re

import numpy as np
import pytest

from mmstreet.files.rle import counts_from_mask, encode_counts
from mmstreet.formats.coco import CocoReader
from mmstreet.formats.convert import coco_dict
from tests.helpers.instance_labels import write_json

SIZE_HW = (6, 8)
MASK = np.zeros(SIZE_HW, bool)
MASK[2:5, 2:6] = True
IMAGE = {"id": 7, "file_name": "a.jpg", "height": 6, "width": 8}
CATEGORIES = [{"id": 40, "name": "person"}, {"id": 50, "name": "Car"}, {"id": 60, "name": "other vehicle"}, {"id": 70, "name": "tree"}]


def coco(*annotations, images=(IMAGE,)):
    return {
        "images": list(images),
        "categories": CATEGORIES,
        "annotations": [{"id": 100 + i, "image_id": 7, "category_id": 50, **x} for i, x in enumerate(annotations)],
    }


def convert(path, content, **settings):
    return coco_dict(CocoReader(write_json(path / "coco.json", content), **settings), workers=1)


@pytest.mark.parametrize(
    "segmentation",
    [
        {"counts": encode_counts(counts_from_mask(MASK)), "size": [6, 8]},
        {"counts": counts_from_mask(MASK).tolist(), "size": [6, 8]},
        [[2, 2, 6, 2, 6, 5, 2, 5]],
        [[2, 2, 4, 2, 4, 5, 2, 5], [4, 2, 6, 2, 6, 5, 4, 5]],
    ],
    ids=["text", "list", "polygon", "two polygons"],
)
def test_every_kind_of_coco_mask_is_read(tmp_path, segmentation):
    found, _ = convert(tmp_path, coco({"segmentation": segmentation}))
    (annotation,) = found["annotations"]
    assert annotation["segmentation"] == {"counts": encode_counts(counts_from_mask(MASK)), "size": [6, 8]}
    assert (annotation["bbox"], annotation["area"]) == ([2, 2, 4, 3], 12)


def test_categories_are_matched_by_name_and_the_rest_is_counted(tmp_path):
    box = {"bbox": [1, 1, 2, 2]}
    found, report = convert(tmp_path, coco(*({**box, "category_id": c} for c in (40, 50, 60, 70, 80))))
    assert [(x["category_id"], x["ignore"], x["scalabel_id"]) for x in found["annotations"]] == [
        (1, 0, "100"),
        (3, 0, "101"),
        (3, 1, "102"),
    ]
    assert report.skipped_instances == {"category 'tree' is not among the classes": 1, "no category": 1}


@pytest.mark.parametrize(
    ("entries", "crowd", "ignored"),
    [
        ({"iscrowd": 1}, True, False),
        ({"iscrowd": 1, "ignore": 1}, False, True),
        ({"iscrowd": 1, "attributes": {"ignored": True, "crowd": True}}, True, True),
    ],
)
def test_crowd_and_ignored_are_told_apart(tmp_path, entries, crowd, ignored):
    found, _ = convert(tmp_path, coco({"bbox": [1, 1, 2, 2], **entries}))
    flags = found["annotations"][0]["attributes"]
    assert (flags["crowd"], flags["ignored"]) == (crowd, ignored)


def test_flags_given_as_text_mean_what_they_say(tmp_path):
    entries = [
        {"iscrowd": "0", "attributes": {"occluded": "false", "Truncated": "True"}},
        {"iscrowd": "1", "occluded": 1, "attributes": {}},
        {"ignore": "true", "attributes": {"Ignored": False}},
    ]
    found, report = convert(tmp_path, coco(*({"bbox": [1, 1, 2, 2], **x} for x in entries)))
    assert [[name for name, value in x["attributes"].items() if value] for x in found["annotations"]] == [
        ["truncated"],
        ["occluded", "crowd"],
        [],
    ]
    assert not report.skipped_instances


def test_boxes_are_cut_at_the_image_as_in_every_format(tmp_path):
    found, report = convert(tmp_path, coco({"bbox": [-2, 1, 5, 2]}, {"bbox": [6.5, 4, 100, 100]}, {"bbox": [20, 1, 3, 3]}))
    assert [x["bbox"] for x in found["annotations"]] == [[0, 1, 3, 2], [6.5, 4, 1.5, 2]]
    assert report.skipped_instances == {"box holds no pixel of the image": 1}


def test_two_categories_of_one_id_are_refused(tmp_path):
    content = coco({"bbox": [1, 1, 2, 2]}) | {"categories": [{"id": 50, "name": "car"}, {"id": 50, "name": "truck"}]}
    with pytest.raises(ValueError, match=r"coco\.json: category id 50 is given twice, to .*'car'.* and .*'truck'.*; ids must differ"):
        convert(tmp_path, content)


def test_a_byte_order_mark_is_no_fault_and_utf16_is_named(tmp_path):
    text = json.dumps(coco({"bbox": [1, 1, 2, 2]}))
    (tmp_path / "coco.json").write_text(text, encoding="utf-8-sig")
    assert len(coco_dict(CocoReader(tmp_path / "coco.json"))[0]["annotations"]) == 1
    (tmp_path / "coco.json").write_text(text, encoding="utf-16")
    with pytest.raises(ValueError, match=r"coco\.json is not UTF-8 text, it looks like UTF-16, .*; save it as UTF-8"):
        coco_dict(CocoReader(tmp_path / "coco.json"))


@pytest.mark.parametrize(
    ("annotation", "reason"),
    [
        ({}, "neither box nor mask"),
        ({"bbox": [1, 2, 3]}, "malformed box"),
        ({"bbox": [1, 2, 0, 4]}, "box holds no pixel of the image"),
        ({"segmentation": [[20, 20, 30, 20, 30, 30]]}, "mask holds no pixel of the image"),
        ({"segmentation": [[1, 2, 3]]}, "malformed polygon"),
        ({"segmentation": "1,2,3,4,5,6"}, "malformed polygon"),
        ({"segmentation": {"counts": [2**62, 2**62, 2**62, 2**62, 48], "size": [6, 8]}}, "malformed run-length mask"),
        ({"bbox": [1, 1, float("nan"), 2]}, "malformed number"),
        ({"bbox": [1, 1, 2, 2], "iscrowd": "perhaps"}, "malformed flag"),
        ({"bbox": [1, 1, 2, 2], "attributes": [1]}, "malformed label"),
        ({"bbox": [1, 1, 2, 2], "score": "high"}, "malformed number"),
        ({"bbox": [1, 1, 2, 2], "category_id": [50]}, "no category"),
        ({"segmentation": [[1, 2, float("nan"), 4, 5, 6]]}, "malformed polygon"),
        ({"segmentation": {"counts": "~~", "size": [6, 8]}}, "malformed run-length mask"),
        ({"segmentation": {"counts": [48], "size": [8, 6]}}, "malformed run-length mask"),
    ],
)
def test_unusable_annotations_are_counted(tmp_path, annotation, reason):
    found, report = convert(tmp_path, coco(annotation, {"bbox": [1, 1, 2, 2]}))
    assert len(found["annotations"]) == 1
    assert report.skipped_instances == {reason: 1}
    assert report.examples[reason][0].startswith("image 'a.jpg', annotation 100: ")


def test_predictions_take_the_place_of_annotations(tmp_path):
    results = [
        {"image_id": 7, "category_id": 40, "score": 0.5, "bbox": [0, 0, 1, 1], "segmentation": {"counts": [5, 3, 40], "size": [6, 8]}}
    ]
    path = write_json(tmp_path / "results.json", results)
    found, report = convert(tmp_path, coco({"bbox": [1, 1, 2, 2]}, {"bbox": [1, 1, 2, 2]}), predictions=path)
    assert [(x["category_id"], x["score"], x["area"]) for x in found["annotations"]] == [(1, 0.5, 3)]
    assert report.instances_in == 1


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ([], "is no COCO file"),
        ({"images": []}, "is no COCO file"),
        (coco(images=[{"id": 1}]), r"coco\.json: image 1 .*an image needs a name"),
        (coco(images=[IMAGE | {"height": 0}]), r"image 7 \('a\.jpg'\): needs height and width in pixels"),
        (coco(images=[IMAGE, IMAGE]), r"coco\.json: image id 7 is given twice"),
        (coco({"image_id": 8}), "no image has the image_id of annotation"),
        (coco({"image_id": [7]}), r"coco\.json: no image has the image_id of annotation"),
        (coco(images=[IMAGE | {"attributes": 3}]), r"coco\.json: image 7 \('a\.jpg'\): attributes must be an object"),
        (coco() | {"categories": [3]}, r"coco\.json: each category needs an id"),
    ],
)
def test_wrong_coco_files_are_explained(tmp_path, content, words):
    with pytest.raises(ValueError, match=words):
        convert(tmp_path, content)


def test_coco_file_cut_off_in_the_middle_is_explained(tmp_path):
    write_json(tmp_path / "coco.json", coco({"bbox": [1, 1, 2, 2]}))
    (tmp_path / "coco.json").write_text((tmp_path / "coco.json").read_text()[:-20])
    with pytest.raises(ValueError, match=re.escape("coco.json is not whole JSON")):
        coco_dict(CocoReader(tmp_path / "coco.json"), workers=1)
