"""A segmentor and label files of 16 pixels, in mmseg's own classes, for checks that need a whole config."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config
from mmengine.registry import MODELS
from torch import Tensor, nn

CLASSES = ("road", "car", "person")


@MODELS.register_module(force=True)
class OneConv(nn.Module):
    """A backbone of one convolution, at half the size."""

    def __init__(self, channels: int = 4) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, channels, 3, stride=2, padding=1)

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (self.conv(x).relu(),)


def write_dataset(root: Path, *, count: int = 6, split: str = "train", num_classes: int = 3) -> Path:
    """Write ``count`` images and label maps of 16×16 px, four patches of one class each; ids 0 … num_classes - 1 and 255."""
    rng = np.random.default_rng(0)
    for folder in ("images", "labels"):
        (root / folder / split).mkdir(parents=True, exist_ok=True)
    for i in range(count):
        labels = np.kron(rng.integers(0, num_classes, (2, 2)), np.ones((8, 8))).astype(np.uint8)
        labels[0, 0] = 255
        image = np.repeat((labels[..., None] * 80).astype(np.uint8), 3, axis=2)
        cv2.imwrite(str(root / "images" / split / f"{i}.jpg"), image)
        cv2.imwrite(str(root / "labels" / split / f"{i}.png"), labels)
    return root


def tiny_segmentation(root: Path, work_dir: Path, *, batch_size: int = 2, epochs: int = 2, seed: int = 0) -> Config:
    """EncoderDecoder with a decode head and an auxiliary head, BaseSegDataset, IoUMetric; without batch norm or dropout."""
    head = dict(
        type="FCNHead",
        in_channels=4,
        channels=4,
        in_index=0,
        num_convs=1,
        kernel_size=1,
        concat_input=False,
        dropout_ratio=0,
        num_classes=3,
    )
    # Without class weights: with them, mmseg 1.2.2's cross entropy fails at the first ignored pixel.
    loss = dict(type="CrossEntropyLoss", use_sigmoid=False, class_weight=None)

    def loader(split: str, pipeline: list) -> dict:
        return dict(
            batch_size=batch_size,
            num_workers=0,
            sampler=dict(type="DefaultSampler", shuffle=split == "train"),
            dataset=dict(
                type="BaseSegDataset",
                data_root=str(root),
                data_prefix=dict(img_path=f"images/{split}", seg_map_path=f"labels/{split}"),
                metainfo=dict(classes=CLASSES, palette=[[0, 0, 0], [0, 0, 142], [220, 20, 60]]),
                pipeline=pipeline,
                serialize_data=False,
            ),
        )

    read = [dict(type="LoadImageFromFile"), dict(type="LoadAnnotations")]
    flip = dict(type="RandomApply", transforms=[dict(type="RandomRotate", prob=1.0, degree=10, seg_pad_val=255)], prob=0.5)
    return Config(
        dict(
            default_scope="mmseg",
            custom_imports=dict(imports=["tests.helpers.tiny_segmentation"]),
            work_dir=str(work_dir),
            model=dict(
                type="EncoderDecoder",
                data_preprocessor=dict(type="SegDataPreProcessor", mean=[80.0] * 3, std=[60.0] * 3, bgr_to_rgb=True, size=(16, 16)),
                backbone=dict(type="OneConv"),
                decode_head=dict(head, loss_decode=loss, norm_cfg=None),
                auxiliary_head=[dict(head, loss_decode=[dict(loss, loss_name="loss_aux", loss_weight=0.4)], norm_cfg=None)],
                train_cfg=dict(),
                test_cfg=dict(mode="whole"),
            ),
            train_dataloader=loader("train", [*read, flip, dict(type="RandomFlip", prob=0.5), dict(type="PackSegInputs")]),
            val_dataloader=loader("val", [*read, dict(type="PackSegInputs")]),
            train_cfg=dict(type="EpochBasedTrainLoop", max_epochs=epochs, val_interval=1),
            val_cfg=dict(type="ValLoop"),
            val_evaluator=dict(type="IoUMetric", iou_metrics=["mIoU"]),
            optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=0.02)),
            default_hooks=dict(checkpoint=dict(type="mmstreet.AtomicCheckpointHook", interval=1, max_keep_ckpts=1)),
            custom_hooks=[dict(type="mmstreet.PreflightHook"), dict(type="mmstreet.ExactResumeHook"), dict(type="mmstreet.FiniteLossHook")],
            randomness=dict(seed=seed),
            log_processor=dict(by_epoch=True),
        )
    )
