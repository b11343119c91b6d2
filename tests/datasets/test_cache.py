"""A data set that is kept in memory gives what the files gave, in every process, and nothing that a step does to a sample stays."""

import shutil

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from mmseg.registry import DATASETS
from torch.utils.data import DataLoader

from mmstreet.datasets.loading import hold_files
from mmstreet.formats.label_files import LabelFileError
from tests.helpers.street_files import make_root, truncate, write_image, write_labels

HOLES = dict(type="mmseg.RandomCutOut", prob=1.0, n_holes=4, cutout_ratio=[(0.4, 0.4)], fill_in=(1, 2, 3), seg_fill_in=255)
NAMES = ["a", "b", "c", "d"]


def build(root, *steps, on_broken="error", **settings):
    load = [dict(type="mmstreet.LoadImage", on_broken=on_broken), dict(type="mmstreet.LoadLabels")]
    pipeline = [*load, *steps, dict(type="mmseg.PackSegInputs")]
    return DATASETS.build(dict(type="mmstreet.CamVidSemSeg", data_root=str(root), pipeline=pipeline, **settings))


def make_files(root):
    make_root(root, "camvid11", {"train": NAMES})
    rng = np.random.default_rng(0)
    for name in NAMES:
        write_labels(root / "labels/train" / f"{name}.png", rng.integers(0, 11, (24, 32)))
    return root


def contents(dataset, **workers):
    loader = DataLoader(dataset, batch_size=2, collate_fn=pseudo_collate, **workers)
    return [
        (image, sample.gt_sem_seg.data, sample.seg_map_path)
        for batch in loader
        for image, sample in zip(batch["inputs"], batch["data_samples"])
    ]


def assert_equal(ours, theirs):
    assert len(ours) == len(theirs) == len(NAMES)
    for (image, labels, path), (image_2, labels_2, path_2) in zip(ours, theirs):
        assert path == path_2
        assert torch.equal(image, image_2)
        assert torch.equal(labels, labels_2)


@pytest.mark.parametrize("workers", [{}, dict(num_workers=2, multiprocessing_context="fork")])
def test_samples_are_those_of_the_files_which_are_not_read_again(workers, tmp_path):
    read = contents(build(make_files(tmp_path)))
    cached = build(tmp_path, cache=True)
    shutil.rmtree(tmp_path)
    for _ in range(2):
        assert_equal(contents(cached, **workers), read)


def test_a_step_that_writes_into_its_sample_changes_no_later_one(tmp_path):
    plain, cached = build(make_files(tmp_path), HOLES), build(tmp_path, HOLES, cache=True)
    for epoch in range(3):
        both = []
        for dataset in (plain, cached):
            np.random.seed(epoch)  # noqa: NPY002 - what RandomCutOut draws from
            both.append(contents(dataset))
        assert_equal(*both)


def test_files_are_read_at_the_files_turn_if_the_set_is_listed_later_or_in_part(tmp_path):
    later = build(make_files(tmp_path), cache=True, lazy_init=True)
    later.full_init()
    assert_equal(contents(later), contents(build(tmp_path)))
    assert len(contents(build(tmp_path, cache=True, indices=2))) == 2


def test_a_broken_file_stops_or_is_skipped_as_without(tmp_path):
    make_files(tmp_path)
    truncate(tmp_path / "images/train/b.jpg")
    truncate(tmp_path / "labels/train/c.png")
    dataset = build(tmp_path, on_broken="skip", cache=True)
    assert dataset[1]["data_samples"].img_path[-5] != "b"
    with pytest.raises(LabelFileError, match=r"c\.png"):
        dataset[2]


def test_a_label_of_another_size_is_found_in_memory_too(tmp_path):
    make_files(tmp_path)
    write_image(tmp_path / "images/train/a.jpg", (12, 16))
    with pytest.raises(LabelFileError, match="labels must have the image's size"):
        build(tmp_path, cache=True)[0]


def test_a_set_that_does_not_fit_is_refused_before_it_is_read(tmp_path):
    dataset = build(make_files(tmp_path))
    with pytest.raises(MemoryError, match=r"4 images and label maps in memory.*leave cache=False"):
        hold_files(dataset, share=1e-9)
