"""Every change of the thin-class bench builds and trains, the best of them are put together by slots, and the table counts right."""

import argparse
import copy
import os

import mmseg.registry
import pytest
import torch
from mmengine.registry import init_default_scope
from mmengine.structures import PixelData
from mmseg.structures import SegDataSample

from benchmarks import thin_classes
from benchmarks.thin_classes import BoundaryAndCalibration, make_table
from benchmarks.thin_variants import BASELINE, CHANGES, THIN, apply_changes, best_combination
from mmstreet.labels import get_table
from mmstreet.transforms.skeletons import mark_skeletons
from tests.helpers.leaf_configs import load
from tests.helpers.noted_process import note_process

CROP = (64, 96)


def build(*changes):
    return apply_changes(copy.deepcopy(load("street_camvid")), changes, crop_hw=CROP)


@pytest.mark.parametrize("name", [BASELINE, *CHANGES])
def test_a_run_learns_by_its_losses(name):
    cfg = build(*([] if name == BASELINE else [name]))
    init_default_scope("mmseg")
    torch.manual_seed(0)
    head = mmseg.registry.MODELS.build(cfg.model.decode_head)
    labels = torch.randint(11, (2, 1, 8, 12)).repeat_interleave(8, 2).repeat_interleave(8, 3)
    labels[:, :, :3] = 255
    marks = [torch.from_numpy(mark_skeletons(x[0].byte().numpy(), list(THIN.values()))).long()[None] for x in labels]
    samples = [SegDataSample(gt_sem_seg=PixelData(data=x), gt_edge_map=PixelData(data=mark)) for x, mark in zip(labels, marks, strict=True)]
    levels = [torch.randn(2, width, 64 // stride, 96 // stride) for width, stride in zip((24, 40, 112, 320), (4, 8, 16, 32), strict=True)]
    losses = {key: value for key, value in head.loss(levels, samples, {}).items() if "loss" in key}
    sum(losses.values()).backward()
    assert all(value.isfinite() for value in losses.values())
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in head.parameters())


def test_the_baseline_has_none_of_the_changes():
    cfg = build()
    crop = cfg.train_dataloader.dataset.pipeline[2]
    assert (crop.prefer, tuple(crop.size_hw)) == ((), CROP)
    assert not [hook for hook in cfg.custom_hooks if hook.type == "EMAHook"]
    (loss,) = cfg.model.decode_head.loss_decode
    assert (loss.type, loss.gamma, loss.dice_weight, loss.class_weight.method) == ("mmstreet.FocalDiceLoss", 1.0, 0.5, "sqrt_inverse")
    assert [get_table("camvid11").names[train_id] for train_id in THIN.values()] == list(THIN)


def test_changes_of_different_slots_go_together():
    cfg = build("class_uniform", "soft_labels", "lovasz_no_weights", "boundary", "skeleton", "ema")
    assert [loss.type for loss in cfg.model.decode_head.loss_decode] == ["mmstreet.SoftLabelLoss", "mmstreet.LovaszSoftmaxLoss"]
    assert cfg.model.decode_head.loss_decode[0].class_weight is None
    assert cfg.train_dataloader.dataset.type == "mmstreet.ClassUniformSemSeg"
    assert [step.type for step in cfg.train_dataloader.dataset.dataset.pipeline][-2:] == [
        "mmstreet.MarkSkeletons",
        "mmstreet.PackSegInputs",
    ]
    with pytest.raises(ValueError, match="of one slot: overlap, overlap"):
        build("lovasz", "tversky")


def test_the_best_of_each_slot_that_helps_is_taken():
    gains = {"boundary": 1.0, "skeleton": -1.0, "lovasz": 0.5, "tversky": 2.0, "ema": 0.0, "best": 10.0}
    assert best_combination(gains) == ["tversky", "boundary"]


def test_the_table_has_mean_and_spread_over_the_seeds():
    def run(name, seed, value, gpu="none"):
        metrics = {key: value for key in ("mIoU", "thin", *(f"IoU/{thin}" for thin in THIN), "boundary_IoU", "ECE")}
        return dict(run=name, seed=seed, changes=[name], metrics=metrics, machine=dict(GPU=gpu, processor="a CPU"))

    runs = [run(BASELINE, 0, 10.0), run(BASELINE, 1, 14.0), run("ema", 1, 15.0), run("ema", 1, 20.0, "a GPU")]
    first, second = ([cell.strip() for cell in row.split("|")[1:5]] for row in make_table(runs).splitlines()[2:])
    assert first == [BASELINE, "2", "n/a", "12.00 ± 2.83"]  # (14 - 10) / sqrt 2
    assert second == ["ema", "2", "+1.00", "17.50 ± 3.54"]  # against the same seed on the same machine, not against the mean


def test_calibration_is_confidence_against_hits():
    metric = BoundaryAndCalibration()
    metric.dataset_meta = {"classes": ("a", "b")}
    logits = torch.tensor([[[3.0, 1.0, 1.0, 9.0]], [[0.0, 0.0, 0.0, 0.0]]])
    labels, preds = torch.tensor([[[0, 0, 1, 255]]]), torch.zeros(1, 1, 4, dtype=torch.int64)
    metric.process(None, [dict(gt_sem_seg=dict(data=labels), pred_sem_seg=dict(data=preds), seg_logits=dict(data=logits))])
    high, low = 1 / (1 + torch.tensor(-3.0).exp()), 1 / (1 + torch.tensor(-1.0).exp())
    expected = ((1 - high) + (2 * low - 1).abs()) / 3  # one bin of one hit, one of a hit and a miss
    assert metric.compute_metrics(metric.results)["ECE"] == pytest.approx(100 * float(expected), rel=1e-5)


@pytest.mark.timeout(120)
def test_more_runs_than_jobs_each_in_a_process_of_its_own(monkeypatch, tmp_path):
    monkeypatch.setattr(thin_classes, "train", note_process)
    monkeypatch.setattr(thin_classes, "read_runs", lambda args: [])
    tables = []
    monkeypatch.setattr(thin_classes, "write_table", tables.append)
    args = argparse.Namespace(jobs=2, out=tmp_path)
    thin_classes.work([("ohem", ["ohem"], seed) for seed in range(5)], args)
    processes = {path.read_text() for path in tmp_path.glob("ohem/seed_*/process")}
    assert len(processes) == len(tables) == 5
    assert str(os.getpid()) not in processes
    with pytest.raises(SystemExit, match=r"run 'broken' with seed 7 failed.*no space left"):
        thin_classes.work([("broken", [], 7)], args)
