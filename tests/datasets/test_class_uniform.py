"""Samples drawn class by class: the table against a loop, the draws against their promise, and exact resuming."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from mmcv.transforms import BaseTransform
from mmengine.registry import DATASETS, TRANSFORMS, init_default_scope
from mmengine.runner import Runner
from torch.utils.data import BatchSampler, DataLoader, SequentialSampler

from mmstreet.datasets.class_uniform import tile_centroids
from mmstreet.engine.replay import SeededBatches
from mmstreet.engine.safe_load import read_checkpoint
from tests.helpers.street_files import write_image, write_labels
from tests.helpers.tiny_runs import tiny_config

HW = (36, 48)


@TRANSFORMS.register_module(force=True)
class PackDots(BaseTransform):
    """What the tiny network of the test takes: a grey image, and a label that depends on the crop."""

    def transform(self, results):
        labels = results["gt_seg_map"]
        return {"inputs": torch.from_numpy(labels / 255).float()[None], "labels": int((labels == 2).any())}


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Sixteen scenes of class 0; class 1 in half of them, class 2 as one small square in a single one, a place of class 3 too small."""
    root = tmp_path_factory.mktemp("scenes")
    for i in range(16):
        labels = np.zeros(HW, np.uint8)
        labels[20:, : 3 * i] = 1 if i % 2 else 0
        if i == 5:
            labels[2:8, 36:42] = 2
            labels[0, 0] = 3
        write_image(root / f"images/train/{i:02d}.png", HW)
        write_labels(root / f"labels/train/{i:02d}.png", labels)
    return root


def settings(root, *, pack="PackSegInputs", size_hw=(16, 16), share=0.5, crop=True):
    steps = [dict(type="mmstreet.LoadImage"), dict(type="mmstreet.LoadLabels")]
    steps += [dict(type="mmstreet.RandomScaleCrop", size_hw=size_hw, fraction=(0.4, 0.5))] if crop else []
    files = dict(type="mmstreet.CamVidSemSeg", data_root=str(root), split="train", pipeline=[*steps, dict(type=pack)])
    return dict(type="mmstreet.ClassUniformSemSeg", dataset=files, share=share, tile_px=12, least_pixels=5)


def build(root, **more):
    init_default_scope("mmseg")
    return DATASETS.build(settings(root, **more))


def test_the_table_equals_a_look_into_each_tile():
    rng = np.random.default_rng(0)
    labels = np.kron(rng.choice([0, 1, 2, 255], (9, 11)), np.ones((4, 4), int)).astype(np.uint8)
    found = {tuple(row) for row in np.column_stack(tile_centroids(labels, 3, tile_px=10, least_pixels=12))}
    expected = set()
    for top in range(0, 36, 10):
        for left in range(0, 44, 10):
            tile = labels[top : top + 10, left : left + 10]
            for train_id in range(3):
                if (tile == train_id).sum() >= 12:
                    y, x = np.argwhere(tile == train_id).mean(0) + np.array([top, left])
                    expected.add((train_id, int(np.rint(y)), int(np.rint(x))))
    assert found == expected


def test_a_class_of_one_image_is_in_a_third_of_the_drawn_samples_and_covered_by_the_window(root):
    dataset = build(root, share=1.0)
    np.random.seed(0)  # noqa: NPY002 - the draws are from numpy's global generator
    shown = [dataset[0]["data_samples"] for _ in range(300)]
    drawn = [sample for sample in shown if "05.png" in sample.img_path and (sample.gt_sem_seg.data == 2).any()]
    assert 80 <= len(drawn) <= 140  # a third by class, and now and then by another class of the same image


def test_without_a_share_every_sample_is_the_one_asked_for(root):
    dataset = build(root, share=0.0)
    assert [Path(dataset[i]["data_samples"].img_path).stem for i in range(16)] == [f"{i:02d}" for i in range(16)]


def test_half_of_the_samples_are_plain(root):
    dataset = build(root)
    np.random.seed(0)  # noqa: NPY002 - the draws are from numpy's global generator
    kept = Counter(Path(dataset[i % 16]["data_samples"].img_path).stem == f"{i % 16:02d}" for i in range(320))
    assert 140 <= kept[True] <= 200  # half, and a sixteenth of the others by chance


def samples_of(root, workers, *, skip=0):
    batches = SeededBatches(BatchSampler(SequentialSampler(range(16)), 4, drop_last=False), seed=3, rank=0, world_size=1)
    batches.skip = skip
    loader = DataLoader(build(root), batch_sampler=batches, num_workers=workers, collate_fn=list)
    return [(sample["data_samples"].img_path, sample["data_samples"].gt_sem_seg.data) for batch in loader for sample in batch]


@pytest.mark.parametrize(("workers", "skip"), [(2, 0), (0, 2)])
def test_draws_depend_on_seed_epoch_and_place_alone(root, workers, skip):
    whole, other = samples_of(root, 0)[4 * skip :], samples_of(root, workers, skip=skip)
    assert [path for path, _ in whole] == [path for path, _ in other]
    assert all(torch.equal(a, b) for (_, a), (_, b) in zip(whole, other, strict=True))


def test_a_resumed_run_equals_an_uninterrupted_one(root, tmp_path):
    def train(name, *, resume=False, **stop):
        cfg = tiny_config(tmp_path / name, epochs=3, **stop)
        cfg.train_dataloader.dataset = settings(root, pack="PackDots", size_hw=(6, 6))
        cfg.resume = resume
        runner = Runner.from_cfg(cfg)
        if stop:
            with pytest.raises(KeyboardInterrupt):
                runner.train()
        else:
            runner.train()
        return read_checkpoint((tmp_path / name / "last_checkpoint").read_text())["state_dict"]

    whole = train("whole")
    half = train("parts", stop_after=8)
    assert any(not torch.equal(half[key], whole[key]) for key in whole)
    end = train("parts", resume=True)
    assert all(torch.equal(end[key], whole[key]) for key in whole)


def test_a_pipeline_that_cannot_follow_is_refused(root):
    with pytest.raises(ValueError, match=r"crops with mmstreet\.RandomScaleCrop right behind"):
        build(root, crop=False)
    with pytest.raises(ValueError, match=r"share in \[0, 1\].* got share=1.5"):
        build(root, share=1.5)
