"""Our heads' losses are those that mmseg computes, and so is the accuracy."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.models.decode_heads.decode_head import BaseDecodeHead
from mmseg.models.losses import accuracy
from mmseg.structures import SegDataSample

from mmstreet.models.decode_losses import pixel_accuracy
from mmstreet.models.torchvision_heads import TorchvisionFCNHead

OURS = dict(type="mmstreet.FocalDiceLoss", loss_weight=0.7)
THEIRS = dict(type="mmseg.CrossEntropyLoss", avg_non_ignore=True)


def make_samples():
    rng = torch.Generator().manual_seed(0)
    labels = torch.randint(0, 5, (2, 1, 9, 12), generator=rng)
    labels[torch.rand(labels.shape, generator=rng) < 0.2] = 255
    return [SegDataSample(gt_sem_seg=PixelData(data=label)) for label in labels]


@pytest.mark.parametrize("losses", [OURS, THEIRS, [THEIRS, OURS], [THEIRS, dict(THEIRS, loss_weight=0.3)]])
def test_losses_and_accuracy_are_mmsegs(losses):
    head = TorchvisionFCNHead(in_channels=8, num_classes=5, loss_decode=losses)
    logits, samples = torch.randn(2, 5, 3, 4, generator=torch.Generator().manual_seed(1)), make_samples()
    ours, theirs = head.loss_by_feat(logits, samples), BaseDecodeHead.loss_by_feat(head, logits, samples)
    assert ours.keys() == theirs.keys()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name], msg=name)


def test_pixel_accuracy_is_mmsegs_and_0_without_a_label():
    rng = torch.Generator().manual_seed(0)
    logits, labels = torch.randn(2, 6, 7, 5, generator=rng), torch.randint(0, 6, (2, 7, 5), generator=rng)
    labels[:, 2] = 255
    torch.testing.assert_close(pixel_accuracy(logits, labels), accuracy(logits, labels, ignore_index=255))
    assert pixel_accuracy(logits, torch.full_like(labels, 255)).tolist() == [0]
