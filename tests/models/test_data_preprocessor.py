"""The preprocessor gives what mmseg's gives, to the last bit, without indexing by a list of numbers."""

import copy

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models import SegDataPreProcessor as Theirs
from mmseg.structures import SegDataSample
from torch.utils._python_dispatch import TorchDispatchMode

from mmstreet.models.data_preprocessor import SegDataPreProcessor, turns_channels

LOOK = dict(mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375])


def batch(sizes, channels=3):
    rng = torch.Generator().manual_seed(0)
    images = [torch.randint(0, 256, (channels, *size), generator=rng, dtype=torch.uint8) for size in sizes]
    labels = [torch.randint(0, 19, (1, *size), generator=rng) for size in sizes]
    return dict(inputs=images, data_samples=[SegDataSample(gt_sem_seg=PixelData(data=x)) for x in labels])


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(
    ("settings", "sizes"),
    [
        (dict(LOOK, bgr_to_rgb=True, size=(40, 64)), [(33, 47), (40, 64), (20, 60)]),
        (dict(LOOK, bgr_to_rgb=True, size_divisor=32), [(33, 47), (40, 64), (20, 60)]),
        (dict(LOOK, rgb_to_bgr=True, size=(33, 47), test_cfg=dict(size_divisor=16)), [(33, 47)] * 2),
        (dict(LOOK, size=(33, 47)), [(33, 47)] * 2),
        (dict(size=(33, 47), bgr_to_rgb=True), [(33, 47)] * 2),
    ],
)
def test_it_is_mmsegs(settings, sizes, training):
    if not training and "test_cfg" not in settings:
        sizes = sizes[:1] * len(sizes)  # a batch of a test is of one size
    data = batch(sizes)
    want = Theirs(**settings)(copy.deepcopy(data), training)
    found = SegDataPreProcessor(**settings)(copy.deepcopy(data), training)
    assert torch.equal(found["inputs"], want["inputs"])
    for ours, theirs in zip(found["data_samples"], want["data_samples"], strict=True):
        assert torch.equal(ours.gt_sem_seg.data, theirs.gt_sem_seg.data)
        assert ours.metainfo == theirs.metainfo
    assert found["inputs"].std() > 0


def test_grey_images_stay_as_they_are():
    settings = dict(mean=[100.0], std=[50.0], bgr_to_rgb=True)
    data = batch([(9, 11)] * 2, channels=1)
    assert torch.equal(SegDataPreProcessor(**settings)(data)["inputs"], Theirs(**settings)(data)["inputs"])


class _Ops(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.overloadpacket.__name__)
        return func(*args, **(kwargs or {}))


def test_channels_are_turned_round_without_an_index():
    seen = {}
    for kind in (SegDataPreProcessor, Theirs):
        with _Ops() as ops:
            kind(**LOOK, bgr_to_rgb=True, size=(8, 8))(batch([(8, 8)]), True)
        seen[kind] = ops.names
    assert "index" in seen[Theirs]
    assert "index" not in seen[SegDataPreProcessor]


@pytest.mark.parametrize(("settings", "turns"), [(dict(bgr_to_rgb=True), True), (dict(rgb_to_bgr=True), True), ({}, False)])
def test_whether_channels_are_turned_is_known_of_mmsegs_class_and_of_this_one(settings, turns):
    assert [turns_channels(kind(size=(8, 8), **settings)) for kind in (Theirs, SegDataPreProcessor)] == [turns, turns]
    plain = torch.nn.Identity()
    assert not turns_channels(plain)
    plain.channel_conversion = turns  # as MMSegmentation's own releases call it
    assert turns_channels(plain) is turns
