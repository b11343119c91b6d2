"""Detectors of BDD100K can be measured on a GPU: objects are made as a data loader gives them, and a step waits for nothing of ours."""

import numpy as np
import pytest
import torch

from benchmarks import gpu_detectors
from benchmarks.gpu_training import CONFIGS
from mmstreet.engine.launch import load_config


def test_without_compiled_ops_a_line_says_what_is_missing(monkeypatch):
    monkeypatch.setattr(gpu_detectors, "explain_instances", lambda name: f"'{name}' needs ops")
    jobs = list(gpu_detectors.measure_detectors(torch.device("cpu"), quick=True))
    assert [job()[0]["note"] for job in jobs] == [f"left out: '{name}' needs ops" for name in gpu_detectors.bdd_detectors()]
    assert {"mask_rcnn_bdd", "mask_rcnn_bdd_heads", "mask_rcnn_r101_bdd"} <= set(gpu_detectors.bdd_detectors())


def test_masks_fill_their_boxes_inside_the_image():
    pytest.importorskip("mmcv.ops", reason="needs MMDetection and mmcv's compiled ops: make instances")
    batch = gpu_detectors.random_objects(2, (60, 90), 8, seed=3)
    assert [tuple(image.shape) for image in batch["inputs"]] == [(3, 60, 90)] * 2
    for sample in batch["data_samples"]:
        objects = sample.gt_instances
        assert objects.labels.max() < 8
        found = [[*at.min(0)[::-1], *(at.max(0)[::-1] + 1)] for at in map(np.argwhere, objects.masks.masks)]
        assert found == objects.bboxes.int().tolist()
        assert [mask.sum() for mask in objects.masks.masks] == [(x2 - x) * (y2 - y) for x, y, x2, y2 in found]
    numbers = [
        len(sample.gt_instances) for seed in range(4) for sample in gpu_detectors.random_objects(1, (60, 90), 8, seed=seed)["data_samples"]
    ]
    assert len(set(numbers)) > 1


def test_a_step_waits_for_nothing_of_ours():
    pytest.importorskip("mmcv.ops", reason="needs MMDetection and mmcv's compiled ops: make instances")
    cfg = load_config(CONFIGS / "mask_rcnn_mini.py", launcher="none")
    seconds, _, waits = gpu_detectors._time(cfg, torch.device("cpu"), 64, 1, 1, timing=False)
    assert len(seconds) == 1
    assert "mmdet" in {wait.package for wait in waits}
    assert "mmstreet" not in {wait.package for wait in waits}
