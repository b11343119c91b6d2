"""A test run of a detector leaves AP by both protocols, per class and per weather, and the precision–recall curves."""

import csv
import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from PIL import Image

pytest.importorskip("mmcv.ops", reason="needs MMDetection and mmcv's compiled ops: make instances")

from pycocotools import mask as coding

from mmstreet.evaluation.testing import run_test
from tests.helpers.instance_labels import SIZE_HW, frame, rectangle, write_json


class Parrot(BaseModel):
    """Predicts the labels that come with a sample, and each of them once more as a truck."""

    def forward(self, inputs, data_samples=None, mode="tensor"):
        for sample in data_samples:
            masks = [coding.decode(x["mask"]).astype(bool) for x in sample.instances]
            labels = [x["bbox_label"] for x in sample.instances]
            sample.pred_instances = InstanceData(
                masks=torch.from_numpy(np.array(masks + masks, bool).reshape(-1, *SIZE_HW)),
                labels=torch.tensor(labels + [3] * len(labels)),
                scores=torch.tensor([0.9] * len(labels) + [0.4] * len(labels)),
            )
        return data_samples


def test_run_test_writes_the_evaluation_of_instances(tmp_path):
    car, truck = ({"id": i, "category": name, "poly2d": rectangle(20 * i, 5, 9, 8)} for i, name in enumerate(("car", "truck")))
    frames = [frame("a.jpg", [car, truck]), frame("b.jpg", [car]), frame("c.jpg", None)]
    frames[1]["attributes"] = {"weather": "clear"}
    for raw in frames:
        Image.new("RGB", SIZE_HW[::-1]).save(tmp_path / raw["name"])
    write_json(tmp_path / "labels.json", frames)
    keys = ("img_id", "img_path", "ori_shape", "img_shape", "instances", "weather")
    dataset = dict(
        type="mmstreet.BDD100KInsSeg",
        data_root=str(tmp_path),
        ann_file="labels.json",
        test_mode=True,
        pipeline=[dict(type="mmdet.LoadImageFromFile"), dict(type="mmdet.PackDetInputs", meta_keys=keys)],
    )
    MODELS.register_module(name="Parrot", module=Parrot, force=True)
    runner = Runner.from_cfg(
        Config(
            dict(
                model=dict(type="Parrot"),
                work_dir=str(tmp_path / "work"),
                test_dataloader=dict(batch_size=2, num_workers=0, dataset=dataset, sampler=dict(type="DefaultSampler", shuffle=False)),
                test_evaluator=dict(type="mmstreet.BDD100KInsMetric", by=["weather"]),
                test_cfg=dict(type="TestLoop"),
            )
        )
    )
    scores = run_test(runner, out=tmp_path / "out")
    # The true truck has the highest score of all trucks, so the false ones come after full recall and cost nothing.
    for name in ("coco/AP", "bitmask/AP", "coco/AP/weather=clear"):
        assert scores[name] == pytest.approx(100), name
    written = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert written["metrics"]["coco/AP/train"] is None
    assert written["metrics"]["coco/AP"] == scores["coco/AP"]
    assert written["evaluation"]["by"]["weather"]["rainy"]["coco"]["images"] == 2
    rows = list(csv.DictReader((tmp_path / "out" / "per_class_ap.csv").read_text().splitlines()))
    assert [row["AP50"] for row in rows if row["class"] == "car" and not row["group"]] == ["100.0000", "100.0000"]
    curve = list(csv.DictReader((tmp_path / "out" / "precision_recall.csv").read_text().splitlines()))
    assert {(row["protocol"], row["iou"]) for row in curve} == {("coco", "0.5"), ("bitmask", "0.5")}
    assert [row["precision"] for row in curve if row["class"] == "car"] == ["1.000000"] * 202
