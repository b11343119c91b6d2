"""``BDD100KInsSeg`` reads COCO and Scalabel JSON alike, keeps what its labels say, and answers for every label that it does not use."""

import json
import logging

import numpy as np
import pytest
from mmengine.logging import MMLogger
from mmengine.registry import DATASETS
from PIL import Image

pytest.importorskip("mmcv.ops", reason="needs MMDetection and mmcv's compiled ops: make instances")

from mmdet.datasets import CocoDataset
from mmengine.dataset import ClassBalancedDataset, pseudo_collate
from pycocotools import mask as coding

from mmstreet.datasets.ins_seg import BDD100KInsSeg, detect_format
from mmstreet.formats.coco import CocoWriter
from mmstreet.formats.convert import convert
from mmstreet.formats.scalabel import ScalabelReader
from mmstreet.labels import BDD100K_INS8
from tests.helpers.instance_labels import SIZE_HW, frame, random_frames, rectangle, write_json

META_KEYS = ("img_id", "img_path", "ori_shape", "img_shape", "scale_factor", "instances", "weather", "scene", "timeofday")
PIPELINE = [
    dict(type="mmdet.LoadImageFromFile"),
    dict(type="mmdet.LoadAnnotations", with_bbox=True, with_mask=True),
    dict(type="mmdet.PackDetInputs", meta_keys=META_KEYS),
]


def label(category="car", *, label_id=1, at=(10, 10, 8, 6), **attributes):
    return {"id": label_id, "category": category, "attributes": attributes, "poly2d": rectangle(*at)}


def make_root(folder, frames, *, name="labels.json", size_hw=SIZE_HW):
    """A data root with one grey image per frame."""
    (folder / "images").mkdir(parents=True, exist_ok=True)
    for raw in frames:
        Image.fromarray(np.full((*size_hw, 3), 90, np.uint8)).save(folder / "images" / raw["name"])
    write_json(folder / name, frames)
    return folder


def load(root, ann_file="labels.json", **settings):
    config = dict(type="mmstreet.BDD100KInsSeg", data_root=str(root), ann_file=ann_file, data_prefix=dict(img="images"))
    return DATASETS.build(config | settings)


def entries(dataset):
    return [{key: value for key, value in dataset.get_data_info(i).items() if key != "sample_idx"} for i in range(len(dataset))]


def test_the_classes_are_the_eight_in_the_order_of_their_ids():
    assert BDD100KInsSeg.METAINFO["classes"] == BDD100K_INS8.names
    assert len(BDD100KInsSeg.METAINFO["palette"]) == 8


def test_coco_and_scalabel_json_give_the_same_entries(tmp_path):
    root = make_root(tmp_path, random_frames(6))
    convert(ScalabelReader(root / "labels.json"), CocoWriter(root / "coco.json"), workers=1, progress=False)
    assert entries(load(root)) == entries(load(root, "coco.json"))
    assert load(root).report.instances_out > 5


def test_masks_boxes_classes_and_flags_are_those_of_the_label(tmp_path):
    raw = frame("a.jpg", [label("motor", label_id=344, at=(3, 4, 10, 5), occluded=True, truncated=False)])
    (info,) = entries(load(make_root(tmp_path, [raw])))
    (instance,) = info["instances"]
    assert instance["bbox"] == [3, 4, 13, 9]
    assert BDD100K_INS8.names[instance["bbox_label"]] == "motorcycle"
    expected = np.zeros(SIZE_HW, np.uint8)
    expected[4:9, 3:13] = 1
    assert np.array_equal(coding.decode(instance["mask"]), expected)
    assert (instance["area"], instance["occluded"], instance["truncated"], instance["scalabel_id"]) == (50, True, False, "344")
    assert (info["weather"], info["scene"], info["timeofday"]) == ("rainy", "undefined", "night")
    assert (info["height"], info["width"]) == SIZE_HW


def test_ignored_instances_and_crowds_stay_and_are_flagged_where_mmdet_drops_them(tmp_path):
    labels = [label(), label(ignored=True), label(crowd=True), label("other vehicle")]
    root = make_root(tmp_path, [frame("a.jpg", labels)])
    convert(ScalabelReader(root / "labels.json"), CocoWriter(root / "coco.json"), workers=1, progress=False)
    (info,) = entries(load(root))
    assert [x["ignore_flag"] for x in info["instances"]] == [0, 1, 1, 1]
    meta = {"classes": BDD100K_INS8.names}
    peer = CocoDataset(ann_file=str(root / "coco.json"), data_prefix={"img": str(root / "images")}, metainfo=meta)
    theirs = peer.get_data_info(0)["instances"]
    assert [x["ignore_flag"] for x in theirs] == [0, 1]
    assert all(ours[key] == their[key] for ours, their in zip(info["instances"][::2], theirs) for key in ("bbox", "bbox_label", "mask"))


def test_attributes_and_labels_reach_the_metainfo_of_a_sample(tmp_path):
    frames = [frame("a.jpg", [label(occluded=True), label(ignored=True)]), frame("b.jpg", None)]
    dataset = load(make_root(tmp_path, frames), pipeline=PIPELINE, test_mode=True)
    first, second = pseudo_collate([dataset[0], dataset[1]])["data_samples"]
    assert (first.weather, first.timeofday, first.scene) == ("rainy", "night", "undefined")
    assert [x["occluded"] for x in first.instances] == [True, False]
    assert (len(first.gt_instances), len(first.ignored_instances), len(second.gt_instances)) == (1, 1, 0)
    assert first.gt_instances.masks.masks.sum() == 48


def test_image_ids_are_those_of_the_coco_file(tmp_path):
    root = make_root(tmp_path, [frame("a.jpg", [label()]), frame("b.jpg", [label()])])
    convert(ScalabelReader(root / "labels.json"), CocoWriter(root / "coco.json"), workers=1, progress=False)
    coco = json.loads((root / "coco.json").read_text())
    for image, number in zip(coco["images"], (70, 7)):
        image["id"] = number
    for annotation, number in zip(coco["annotations"], (70, 7)):
        annotation["image_id"] = number
    write_json(root / "coco.json", coco)
    assert [info["img_id"] for info in entries(load(root, "coco.json"))] == [70, 7]
    assert [info["img_id"] for info in entries(load(root))] == [1, 2]


def test_training_images_on_which_nothing_counts_can_be_left_out(tmp_path):
    frames = [frame("a.jpg", [label()]), frame("b.jpg", []), frame("c.jpg", [label(ignored=True)])]
    root = make_root(tmp_path, frames)
    only = dict(filter_cfg=dict(filter_empty_gt=True))
    assert [info["img_id"] for info in entries(load(root, **only))] == [1]
    assert len(load(root, **only, test_mode=True)) == len(load(root)) == 3


def test_what_comes_in_is_what_goes_out_plus_what_is_counted_and_said(tmp_path, caplog):
    labels = [label(), label("lane"), label(at=(500, 500, 4, 4)), {"id": 9, "category": "bus", "box2d": dict(x1=1, y1=1, x2=5, y2=5)}]
    frames = [frame("a.jpg", [*labels, {"id": 5, "category": None}]), frame("a.jpg", [label()]), frame("gone.jpg", [label()])]
    root = make_root(tmp_path, frames)
    (root / "images" / "gone.jpg").unlink()
    logger = MMLogger.get_instance("ins_seg", log_level="INFO")
    logger.addHandler(caplog.handler)
    dataset = load(root)
    logger.removeHandler(caplog.handler)
    report = dataset.report
    assert (report.images_in, report.images_out, report.instances_in, report.instances_out) == (3, 1, 7, 1)
    assert report.skipped_images == {"duplicate image": 1, "image file is missing": 1}
    assert report.skipped_instances.total() == 6
    assert any(record.levelno == logging.WARNING and "labels.json" in record.message for record in caplog.records)
    assert "category 'lane' is not among the classes" in caplog.text
    assert "frame 'gone.jpg': no image at" in caplog.text


def test_an_image_of_another_size_is_left_out_before_the_training_starts(tmp_path):
    root = make_root(tmp_path, [frame("a.jpg", [label()]), frame("b.jpg", [label()])])
    Image.fromarray(np.zeros((20, 30, 3), np.uint8)).save(root / "images" / "b.jpg")
    dataset = load(root)
    assert len(dataset) == 1
    assert dataset.report.skipped_images == {"image size disagrees with the file": 1}
    assert len(load(root, check_images=False)) == 2
    with pytest.raises(ValueError, match=r"frame 'b.jpg': the labels are for 60×40 pixels, .*b.jpg has 30×20"):
        load(root, strict=True)


def test_strict_stops_at_the_first_label_that_cannot_be_used(tmp_path):
    with pytest.raises(ValueError, match=r"frame 'a.jpg', label 1: category 'lane' is not among the classes"):
        load(make_root(tmp_path, [frame("a.jpg", [label("lane")])]), strict=True)


def test_boxes_alone_train_detectors_and_are_refused_for_masks(tmp_path):
    box = {"id": 9, "category": "bus", "box2d": dict(x1=1, y1=1, x2=5, y2=8)}
    root = make_root(tmp_path, [frame("a.jpg", [box])])
    with pytest.raises(ValueError, match="give with_masks=False to train on boxes"):
        load(root)
    (info,) = entries(load(root, with_masks=False))
    (instance,) = info["instances"]
    assert instance["bbox"] == [1, 1, 6, 9]
    assert "mask" not in instance


def test_boxes_among_masks_train_detectors(tmp_path):
    box = {"id": 9, "category": "bus", "box2d": dict(x1=1, y1=1, x2=5, y2=8)}
    root = make_root(tmp_path, [frame("a.jpg", [label(), box])])
    convert(ScalabelReader(root / "labels.json"), CocoWriter(root / "coco.json"), workers=1, progress=False)
    for ann_file in ("labels.json", "coco.json"):
        (info,) = entries(load(root, ann_file, with_masks=False))
        assert [x["bbox"] for x in info["instances"]] == [[10, 10, 18, 16], [1, 1, 6, 9]]
        assert ["mask" in x for x in info["instances"]] == [True, False]
        dataset = load(root, ann_file)
        assert len(entries(dataset)[0]["instances"]) == 1
        assert dataset.report.skipped_instances == {"box without a mask": 1}


def test_a_folder_without_its_images_is_an_error_and_not_an_empty_data_set(tmp_path):
    root = make_root(tmp_path, [frame("a.jpg", [label()])])
    with pytest.raises(ValueError, match=r"(?s)not one image of .*labels.json can be used.*no image at .*elsewhere/a.jpg"):
        load(root, data_prefix=dict(img="elsewhere"))


def test_a_file_that_was_cut_off_is_named(tmp_path):
    root = make_root(tmp_path, [frame("a.jpg", [label()])])
    text = (root / "labels.json").read_text()
    (root / "labels.json").write_text(text[: len(text) // 2])
    with pytest.raises(ValueError, match=r"labels.json is not whole JSON"):
        load(root)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[]", "scalabel"),
        ('\n {"frames": []}', "scalabel"),
        ('{"name": "a", "frames": []}', "scalabel"),
        ('{"info": {}, "images": []}', "coco"),
        ('{ "annotations" : []}', "coco"),
        ("{'name': 'a.jpg', 'labels': []}", "scalabel"),
    ],
)
def test_the_beginning_of_a_file_tells_its_format(tmp_path, text, expected):
    (tmp_path / "a.json").write_text(text)
    assert detect_format(tmp_path / "a.json") == expected
    assert detect_format(tmp_path) == "scalabel"


def test_an_unknown_format_asks_for_its_name(tmp_path):
    (tmp_path / "a.json").write_text('{"shapes": []}')
    with pytest.raises(ValueError, match=r"begins with the key 'shapes'; .* say so with ann_format='coco'"):
        detect_format(tmp_path / "a.json")
    (tmp_path / "a.json").write_text("id,name")
    with pytest.raises(ValueError, match="is no JSON object or list"):
        detect_format(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError, match="no labels at"):
        load(tmp_path, "absent.json")


def test_settings_that_mean_nothing_here_are_refused(tmp_path):
    with pytest.raises(ValueError, match="ann_format must be 'coco', 'scalabel' or None"):
        load(tmp_path, ann_format="voc")
    with pytest.raises(ValueError, match="data_prefix must be dict\\(img='image folder'\\)"):
        load(tmp_path, data_prefix=dict(img_path="images"))
    with pytest.raises(TypeError, match="classes"):
        load(tmp_path, classes=("car",))


def test_rare_classes_can_be_drawn_more_often(tmp_path):
    frames = [frame(f"{i}.jpg", [label("train" if i == 0 else "car")]) for i in range(8)]
    balanced = ClassBalancedDataset(load(make_root(tmp_path, frames)), oversample_thr=0.5)
    # One image in eight has a train: sqrt(0.5 / 0.125) = 2.
    assert len(balanced) == 9
