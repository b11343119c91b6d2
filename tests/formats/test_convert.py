import json

import numpy as np
import pytest
from PIL import Image

from mmstreet.formats.bitmask import BitmaskReader, BitmaskWriter, read_bitmask
from mmstreet.formats.coco import CocoReader, CocoWriter
from mmstreet.formats.convert import coco_dict, convert
from mmstreet.formats.scalabel import ScalabelReader, ScalabelWriter
from mmstreet.labels import BDD100K_DET10, BDD100K_INS8
from mmstreet.mini.writer import MiniSettings, write_mini_dataset
from tests.helpers.instance_labels import SIZE_HW, frame, instances_by_key, random_frames, rectangle, write_json


def run(reader, writer, **settings):
    return convert(reader, writer, workers=1, progress=False, **settings)


def load(path):
    return json.loads(path.read_text())


@pytest.fixture
def labels(tmp_path):
    return write_json(tmp_path / "labels.json", {"frames": random_frames(20)})


@pytest.fixture
def coco(tmp_path, labels):
    run(ScalabelReader(labels), CocoWriter(tmp_path / "coco.json"))
    return tmp_path / "coco.json"


def test_coco_file_says_what_the_json_says(labels, coco):
    frames = load(labels)["frames"]
    found = instances_by_key(load(coco))
    assert len(found) == sum(len(x["labels"] or []) for x in frames) > 20
    for raw in frames:
        for label in raw["labels"] or []:
            instance = found[raw["name"], str(label["id"])]
            (x, y), _, (right, bottom), _ = label["poly2d"][0]["vertices"]
            assert instance["bbox"] == [x, y, right - x, bottom - y]
            assert instance["area"] == (right - x) * (bottom - y)
            renamed = {"person": "pedestrian", "motor": "motorcycle", "bike": "bicycle", "other vehicle": "car"}
            assert instance["class"] == renamed.get(label["category"], label["category"])
            ignored = label["attributes"]["ignored"] or label["category"] == "other vehicle"
            assert instance["attributes"] == label["attributes"] | {"ignored": ignored}
            assert instance["ignore"] == ignored
            assert instance["iscrowd"] == (ignored or label["attributes"]["crowd"])


def test_coco_file_is_what_pycocotools_expects(coco):
    tools = pytest.importorskip("pycocotools.coco")
    api = tools.COCO(str(coco))
    assert sorted(api.imgs) == list(range(1, 21))
    assert sorted(api.anns) == list(range(1, len(api.anns) + 1))
    assert [c["name"] for c in api.loadCats(range(1, 9))] == list(BDD100K_INS8.names)
    for annotation in api.anns.values():
        mask = api.annToMask(annotation)
        assert mask.shape == SIZE_HW
        assert mask.sum() == annotation["area"]
    assert api.imgs[1]["attributes"] == {"weather": "rainy", "timeofday": "night"}


@pytest.mark.parametrize("masks", ["bitmask", "scalabel"])
def test_round_trip_keeps_every_instance_class_flag_and_id(tmp_path, coco, masks):
    if masks == "bitmask":
        there = run(CocoReader(coco), BitmaskWriter(tmp_path / "masks"))
        back = run(BitmaskReader(tmp_path / "masks"), CocoWriter(tmp_path / "again.json"))
    else:
        there = run(CocoReader(coco), ScalabelWriter(tmp_path / "rle.json"))
        back = run(ScalabelReader(tmp_path / "rle.json"), CocoWriter(tmp_path / "again.json"))
    first, second = instances_by_key(load(coco)), instances_by_key(load(tmp_path / "again.json"))
    assert first == second
    assert {key[1] for key in first} == {"1", "255", "256", "300", "511", "65535"}
    for report in (there, back):
        assert report.instances_in == report.instances_out == len(first)
        assert not report.skipped_instances
        assert not report.notes


def test_ids_do_not_depend_on_the_number_of_processes(tmp_path, labels, coco):
    convert(ScalabelReader(labels), CocoWriter(tmp_path / "two.json"), workers=2, progress=False)
    assert (tmp_path / "two.json").read_bytes() == coco.read_bytes()


def test_dictionary_equals_the_file(labels, coco):
    found, report = coco_dict(ScalabelReader(labels), workers=1)
    assert found == load(coco)
    assert report.instances_out == len(found["annotations"])


def test_boxes_only_are_written_without_masks_and_it_is_said(tmp_path):
    boxes = [
        {"id": 1, "category": "car", "box2d": {"x1": 1.5, "y1": 2, "x2": 10, "y2": 7.25}},
        {"id": 2, "category": "traffic light", "box2d": {"x1": 50, "y1": -3, "x2": 99, "y2": 0}},
    ]
    path = write_json(tmp_path / "det.json", [frame("a.jpg", boxes)])
    found, report = coco_dict(ScalabelReader(path, BDD100K_DET10), table=BDD100K_DET10, workers=1)
    assert [(x["category_id"], x["bbox"], x["area"]) for x in found["annotations"]] == [
        (3, [1.5, 2, 9.5, 6.25], 59.375),
        (9, [50, 0, 10, 1], 10),
    ]
    assert not any("segmentation" in x for x in found["annotations"])
    assert report.notes == {"instance has a box but no mask": 2}
    run(ScalabelReader(path, BDD100K_DET10), ScalabelWriter(tmp_path / "again.json", BDD100K_DET10))
    again = load(tmp_path / "again.json")["frames"][0]["labels"]
    assert again[0]["box2d"] == boxes[0]["box2d"]


BAD_LABELS = {
    "malformed box": {"id": 1, "category": "car", "box2d": [1, 1, 5, 5]},
    "neither box nor mask": {"id": 2, "category": "car"},
    "mask holds no pixel of the image": {"id": 3, "category": "car", "poly2d": rectangle(100, 100, 5, 5)},
    "inverted box": {"id": 4, "category": "car", "box2d": {"x1": 9, "y1": 1, "x2": 5, "y2": 5}},
    "no category": {"id": 5, "category": None, "poly2d": rectangle(1, 1, 5, 5)},
    "category 'lane' is not among the classes": {"id": 6, "category": "lane", "poly2d": rectangle(1, 1, 5, 5)},
    "malformed polygon": {"id": 7, "category": "car", "poly2d": [{"vertices": [[1, 2]], "types": "LL"}]},
    "malformed run-length mask": {"id": 8, "category": "car", "rle": {"counts": [5], "size": list(SIZE_HW)}},
    "malformed number": {"id": 9, "category": "car", "box2d": {"x1": None, "y1": 1, "x2": 5, "y2": 5}},
    "malformed label": "car",
    "malformed flag": {"id": 10, "category": "car", "attributes": {"crowd": "some"}},
}
GOOD = {"id": 77, "category": "car", "poly2d": rectangle(1, 1, 5, 5)}


def test_what_came_in_went_out_or_is_counted(tmp_path):
    frames = [frame(f"{i}.jpg", [bad, GOOD]) for i, bad in enumerate(BAD_LABELS.values())]
    found, report = coco_dict(ScalabelReader(write_json(tmp_path / "a.json", frames)), workers=1)
    assert report.skipped_instances == dict.fromkeys(BAD_LABELS, 1)
    assert (report.instances_in, report.instances_out) == (2 * len(BAD_LABELS), len(BAD_LABELS)) == (22, len(found["annotations"]))
    for i, (reason, bad) in enumerate(BAD_LABELS.items()):
        (sentence,) = report.examples[reason]
        which = bad["id"] if isinstance(bad, dict) else "at position 0"
        assert sentence.startswith(f"frame '{i}.jpg', label {which}: ")


def test_strict_stops_at_the_first_bad_label_and_leaves_no_file(tmp_path):
    path = write_json(tmp_path / "a.json", [frame("a.jpg", [GOOD]), frame("b.jpg", [GOOD, BAD_LABELS["inverted box"]])])
    with pytest.raises(ValueError, match=r"frame 'b\.jpg', label "):
        run(ScalabelReader(path), CocoWriter(tmp_path / "out.json"), strict=True)
    assert [x.name for x in tmp_path.iterdir()] == ["a.json"]


@pytest.mark.parametrize("workers", [1, 2])
def test_json_cut_off_in_the_middle_leaves_the_old_file(tmp_path, workers):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(random_frames(30))[:-500])
    (tmp_path / "out.json").write_text("old")
    with pytest.raises(ValueError, match=r"a\.json is not whole JSON.*complete elements"):
        convert(ScalabelReader(path), CocoWriter(tmp_path / "out.json"), workers=workers, progress=False)
    assert (tmp_path / "out.json").read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2


def test_names_that_lead_outside_write_nothing(tmp_path):
    name = "../b.jpg"
    path = write_json(tmp_path / "a.json", [frame(name, [GOOD])])
    with pytest.raises(ValueError, match="leads outside the image folder"):
        run(ScalabelReader(path), BitmaskWriter(tmp_path / "deep" / "masks"))
    coco = {"images": [{"id": 1, "file_name": name, "height": 4, "width": 4}], "annotations": [], "categories": []}
    with pytest.raises(ValueError, match="leads outside the image folder"):
        run(CocoReader(write_json(tmp_path / "b.json", coco)), BitmaskWriter(tmp_path / "deep" / "masks"))
    assert not list(tmp_path.rglob("*.png"))


def test_a_second_image_of_one_name_is_counted_with_its_labels(tmp_path):
    path = write_json(tmp_path / "a.json", [frame("a.jpg", [GOOD]), frame("a.jpg", [GOOD, GOOD]), frame("a.png", [GOOD])])
    report = run(ScalabelReader(path), CocoWriter(tmp_path / "out.json"))
    assert report.skipped_images == {"duplicate image": 1}
    assert report.skipped_instances == {"duplicate image": 2}
    # Bitmasks are named after the image without its suffix, so there a.png stands in the way, too.
    report = run(ScalabelReader(path), BitmaskWriter(tmp_path / "masks"))
    assert report.skipped_images == {"duplicate image": 2}


def test_labels_with_one_id_are_both_kept(tmp_path):
    twins = [GOOD, GOOD | {"poly2d": rectangle(20, 20, 3, 3)}]
    path = write_json(tmp_path / "a.json", [frame("a.jpg", twins)])
    found, report = coco_dict(ScalabelReader(path), workers=1)
    assert [x["id"] for x in found["annotations"]] == [1, 2]
    assert report.notes == {"label id is not unique in its image, all kept": 1}
    report = run(ScalabelReader(path), BitmaskWriter(tmp_path / "masks"))
    assert report.notes["ids do not fit a bitmask, numbered from 1"] == 1
    rgba = read_bitmask(tmp_path / "masks" / "a.png")
    assert sorted(np.unique(rgba[..., 3])) == [0, 1, 2]


@pytest.mark.parametrize("kind", ["missing", "unreadable", "size"])
def test_images_that_disagree_with_their_labels_are_counted(tmp_path, kind):
    (tmp_path / "images").mkdir()
    path = write_json(tmp_path / "a.json", [frame("a.jpg", [GOOD, GOOD]), frame("b.jpg", [GOOD])])
    Image.new("RGB", SIZE_HW[::-1]).save(tmp_path / "images" / "b.jpg")
    if kind == "unreadable":
        (tmp_path / "images" / "a.jpg").write_bytes(b"no picture")
    elif kind == "size":
        Image.new("RGB", (61, 40)).save(tmp_path / "images" / "a.jpg")
    run(ScalabelReader(path), CocoWriter(tmp_path / "coco.json"))
    run(ScalabelReader(path), BitmaskWriter(tmp_path / "masks"))
    for reader in (
        ScalabelReader(path, image_root=tmp_path / "images"),
        CocoReader(tmp_path / "coco.json", image_root=tmp_path / "images"),
        BitmaskReader(tmp_path / "masks", image_root=tmp_path / "images"),
    ):
        found, report = coco_dict(reader, workers=1)
        assert [x["file_name"] for x in found["images"]] == ["b.jpg"]
        (reason,) = report.skipped_images
        assert kind in reason or "size disagrees" in reason
        # Two labels with the same pixels are one instance in a bitmask.
        assert report.skipped_instances == {reason: 1 if isinstance(reader, BitmaskReader) else 2}
        assert "a.jpg" in report.examples[reason][0]


def test_mini_set_keeps_every_instance_from_json_over_coco_to_bitmasks_and_back(tmp_path):
    write_mini_dataset(tmp_path / "mini", MiniSettings(train=2, val=0, size_wh=(192, 108)))
    labels = tmp_path / "mini" / "labels" / "ins_seg"
    readers = {
        "polygons": ScalabelReader(labels / "polygons" / "ins_seg_train.json", image_root=tmp_path / "mini" / "images" / "10k" / "train"),
        "rles": ScalabelReader(labels / "rles" / "ins_seg_train.json"),
        "joined": ScalabelReader(labels / "rles" / "ins_seg_train.json", bitmask_root=labels / "bitmasks" / "train"),
        "bitmasks": BitmaskReader(labels / "bitmasks" / "train"),
    }
    found = {}
    for name, reader in readers.items():
        report = run(reader, CocoWriter(tmp_path / f"{name}.json"))
        assert report.instances_in == report.instances_out > 10
        found[name] = instances_by_key(load(tmp_path / f"{name}.json"))
        assert found[name] == found["polygons"]
    run(CocoReader(tmp_path / "polygons.json"), BitmaskWriter(tmp_path / "masks"))
    for path in (labels / "bitmasks" / "train").glob("*.png"):
        np.testing.assert_array_equal(read_bitmask(tmp_path / "masks" / path.name), read_bitmask(path))
