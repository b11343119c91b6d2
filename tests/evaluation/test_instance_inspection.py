"""What the inspection reports, against what can be counted and computed from the labels."""

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import init_default_scope
from PIL import Image

pytest.importorskip("mmcv.ops", reason="needs MMDetection and mmcv's compiled ops: make instances")

import mmdet.registry

from mmstreet.cli.commands import main
from mmstreet.engine.errors import LaunchError
from mmstreet.evaluation.image_inspector import random_proposals, shrink_mask
from mmstreet.evaluation.instance_inspection import inspect_instances
from mmstreet.report.instance_pictures import render_inspection
from tests.helpers.instance_labels import SIZE_HW, frame, rectangle, write_json

ROOT = Path(__file__).parents[2]
PICTURES = ("annotated", "letterboxed", "masks", "anchors", "proposals", "regions")


@pytest.fixture
def config(tmp_path):
    """The small config over two images of four labels, one of them a crowd."""
    cars = [{"id": i, "category": "car", "poly2d": rectangle(20 * i + 2, 5, 12, 16)} for i in range(2)]
    crowd = {"id": 7, "category": "person", "attributes": {"crowd": True}, "poly2d": rectangle(45, 2, 10, 10)}
    write_json(tmp_path / "labels.json", [frame("a.png", [*cars, crowd]), frame("b.png", cars[:1])])
    for name in "ab":
        cv2.imwrite(str(tmp_path / f"{name}.png"), np.full((*SIZE_HW, 3), 120, np.uint8))
    cfg = Config.fromfile(ROOT / "configs" / "mask_rcnn_mini.py")
    for split in ("train", "val", "test"):
        dataset = cfg[f"{split}_dataloader"].dataset
        dataset.update(data_root=str(tmp_path), ann_file="labels.json", data_prefix=dict(img=""))
        next(step for step in dataset.pipeline if step.type == "mmstreet.Letterbox").size_hw = (80, 128)
    return cfg


def test_pictures_and_numbers_of_an_image(config, tmp_path):
    report = inspect_instances(config, out=tmp_path / "out", names=["a.png"], proposals=400, regions=64)
    render_inspection(tmp_path / "out")
    for name in PICTURES:
        assert Image.open(tmp_path / "out" / "a" / f"{name}.png").format == "PNG"
    assert Image.open(tmp_path / "out" / "instances.png").format == "PNG"
    assert json.loads((tmp_path / "out" / "inspection.json").read_text())["set"]["instances"] == 4
    assert report["set"]["per_image"]["mean"] == 2
    (image,) = report["images"]
    assert (image["instances"]["counted"], image["instances"]["ignored"]) == (2, 1)
    assert [row["box_xyxy"] for row in image["instances"]["on_canvas"]] == [[4, 10, 28, 42], [44, 10, 68, 42]]
    assert image["masks"]["iou_after_return_min"] == 1  # rectangles fill their boxes
    assert [level["stride"] for level in image["anchors"]] == [4, 8, 16, 32, 64]
    assert [level["anchors"] for level in image["anchors"]] == [3 * h * w for h, w in ((20, 32), (10, 16), (5, 8), (3, 4), (2, 2))]
    for level in image["anchors"]:
        assert level["positive"] + level["negative"] + level["ignored"] == level["anchors"]
        np.testing.assert_allclose([w * h for w, h in level["sizes_wh"]], (3 * level["stride"]) ** 2, rtol=1e-5)
    proposals = image["proposals"]
    assert (proposals["proposals"], proposals["sampled"], proposals["source"]) == (400, 64, "random")
    assert 0 < proposals["positive_percent"]["of_sampled"] <= 100 * 21 / 64


def test_the_same_seed_gives_the_same_report(config, tmp_path):
    first, second = (inspect_instances(config, out=tmp_path / str(i), count=1, proposals=50, seed=3) for i in range(2))
    assert first == second


def test_an_unknown_image_is_named(config, tmp_path):
    with pytest.raises(LaunchError, match=r"'c\.png' is not an image of this split, which has 2"):
        inspect_instances(config, out=tmp_path, names=["c.png"])


def test_a_pipeline_without_letterbox_is_refused(config, tmp_path):
    config.val_dataloader.dataset.pipeline = config.val_dataloader.dataset.pipeline[:1]
    with pytest.raises(LaunchError, match=r"mmstreet\.Letterbox"):
        inspect_instances(config, out=tmp_path, split="val")


def test_random_boxes_lie_in_the_image_and_nine_tenths_meet_an_object():
    objects = np.array([[10, 10, 20, 30], [50, 60, 90, 70]], np.float32)
    boxes = random_proposals(objects, 1000, (100, 120), np.random.default_rng(0))
    assert boxes.shape == (1000, 4)
    assert (boxes[:, 2:] - boxes[:, :2] >= 0.999).all()
    assert (boxes >= 0).all()
    assert (boxes <= [120, 100, 120, 100]).all()
    for i in range(900):
        x1, y1, x2, y2 = objects[i % 2]
        assert (boxes[i] >= [x1 - (x2 - x1), y1 - (y2 - y1)] * 2).all()
        assert (boxes[i] <= [x2 + (x2 - x1), y2 + (y2 - y1)] * 2).all()
    assert boxes[900:, 0].min() < 10
    assert boxes[900:, 3].max() > 90


def test_without_objects_boxes_lie_anywhere():
    boxes = random_proposals(np.empty((0, 4), np.float32), 50, (40, 60), np.random.default_rng(0))
    assert boxes.shape == (50, 4)
    assert boxes[:, 2].max() > 45


def test_a_mask_shrinks_by_area():
    mask = np.zeros((8, 8), bool)
    mask[:, :3] = True  # a column and a half of the four
    np.testing.assert_array_equal(shrink_mask(mask, 4), [[True, True, False, False]] * 4)


def test_the_command_takes_proposals_from_a_model(config, tmp_path, capsys):
    init_default_scope("mmdet")
    torch.save({"state_dict": mmdet.registry.MODELS.build(config.model).state_dict()}, tmp_path / "model.pth")
    config.dump(tmp_path / "config.py")
    arguments = f"--split val --count 1 --proposals 50 --checkpoint {tmp_path}/model.pth --out {tmp_path}/o".split()
    assert main(["inspect", str(tmp_path / "config.py"), *arguments]) == 0
    assert "2.00 instances per image" in capsys.readouterr().out
    image = json.loads((tmp_path / "o" / "inspection.json").read_text())["images"][0]
    assert image["proposals"]["source"] == "rpn"
    assert image["proposals"]["proposals"] <= 50
