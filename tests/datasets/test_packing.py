"""Packed samples are mmseg's, and a data loader's thread can pin all of their tensors."""

import pickle

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data._utils.pin_memory import pin_memory

pytest.importorskip("mmseg")

from mmseg.datasets.transforms import PackSegInputs as Theirs

from mmstreet.datasets.packing import PackSegInputs

META = ("img_path", "img_shape", "img_label")


def results():
    rng = np.random.default_rng(0)
    return dict(
        img=rng.integers(0, 256, (7, 9, 3), np.uint8),
        gt_seg_map=rng.integers(0, 19, (7, 9), np.uint8),
        gt_edge_map=rng.integers(0, 2, (7, 9), np.uint8),
        gt_depth_map=rng.random((7, 9), np.float32),
        img_path="a.jpg",
        img_shape=(7, 9),
        img_label=np.arange(19) < 3,
    )


def test_it_packs_as_mmseg_does():
    found, want = PackSegInputs(meta_keys=META)(results()), Theirs(meta_keys=META)(results())
    assert torch.equal(found["inputs"], want["inputs"])
    ours, theirs = found["data_samples"], want["data_samples"]
    assert isinstance(ours, type(theirs))
    names = {"gt_sem_seg", "gt_edge_map", "gt_depth_map"}
    assert set(ours.keys()) == set(theirs.keys()) == names
    for name in names:
        assert torch.equal(ours.get(name).data, theirs.get(name).data)
        assert ours.get(name).data.dtype == theirs.get(name).data.dtype
    assert ours.metainfo.keys() == theirs.metainfo.keys()
    np.testing.assert_array_equal(ours.metainfo["img_label"], theirs.metainfo["img_label"])


def test_it_has_only_what_there_is():
    packed = PackSegInputs()(dict(img=np.zeros((4, 5, 3), np.uint8)))
    assert list(packed["data_samples"].keys()) == []


def test_every_tensor_of_a_batch_is_pinned(monkeypatch):
    pinned = []

    def pin(tensor):
        pinned.append(tensor.data_ptr())
        return tensor.clone()

    batch = pseudo_collate([pickle.loads(pickle.dumps(PackSegInputs(meta_keys=META)(results()))) for _ in range(2)])
    samples = batch["data_samples"]
    want = [x.data_ptr() for x in batch["inputs"]]
    want += [part.data.data_ptr() for sample in samples for part in (sample.gt_sem_seg, sample.gt_edge_map, sample.gt_depth_map)]
    values = samples[0].gt_sem_seg.data.clone()
    monkeypatch.setattr(torch.Tensor, "pin_memory", pin)
    found = pin_memory(batch)["data_samples"]
    assert sorted(pinned) == sorted(want)
    assert found[0].gt_sem_seg.data.data_ptr() not in want
    assert torch.equal(found[0].gt_sem_seg.data, values)


def test_mmsegs_labels_are_not_pinned():
    batch = pseudo_collate([Theirs()(results())])
    assert not hasattr(batch["data_samples"][0], "pin_memory")
