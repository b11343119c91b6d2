"""A detector of a few weights and a COCO file of 16-pixel images, in mmdet's own classes; it needs none of mmcv's compiled ops."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
from mmengine.config import Config

CLASSES = ("car", "person")


def write_coco(root: Path, *, count: int = 9) -> Path:
    """Write landscape and portrait images in turn, each with one bright box."""
    rng = np.random.default_rng(0)
    (root / "images").mkdir(parents=True)
    images, annotations = [], []
    for i in range(count):
        height, width = (16, 24) if i % 3 else (24, 16)
        image = np.zeros((height, width, 3), np.uint8)
        x, y = (int(v) for v in rng.integers(0, 8, 2))
        image[y : y + 8, x : x + 8] = 255
        cv2.imwrite(str(root / "images" / f"{i}.png"), image)
        images.append(dict(id=i, file_name=f"{i}.png", height=height, width=width))
        annotations.append(dict(id=i, image_id=i, category_id=1 + i % 2, bbox=[x, y, 8, 8], area=64, iscrowd=0))
    categories = [dict(id=i, name=name) for i, name in enumerate(CLASSES, 1)]
    (root / "train.json").write_text(json.dumps(dict(images=images, annotations=annotations, categories=categories)))
    return root


def tiny_detection(root: Path) -> Config:
    """RetinaNet's head on one convolution; batches of one orientation."""
    return Config(
        dict(
            default_scope="mmdet",
            custom_imports=dict(imports=["tests.helpers.tiny_segmentation"]),
            model=dict(
                type="RetinaNet",
                data_preprocessor=dict(type="DetDataPreprocessor", mean=[80.0] * 3, std=[60.0] * 3, pad_size_divisor=8),
                backbone=dict(type="OneConv"),
                neck=None,
                bbox_head=dict(
                    type="RetinaHead",
                    num_classes=2,
                    in_channels=4,
                    stacked_convs=1,
                    feat_channels=4,
                    anchor_generator=dict(type="AnchorGenerator", octave_base_scale=4, scales_per_octave=1, ratios=[1.0], strides=[2]),
                    bbox_coder=dict(type="DeltaXYWHBBoxCoder"),
                    loss_cls=dict(type="CrossEntropyLoss", use_sigmoid=True),
                    loss_bbox=dict(type="L1Loss"),
                ),
                train_cfg=dict(
                    assigner=dict(type="MaxIoUAssigner", pos_iou_thr=0.5, neg_iou_thr=0.4, min_pos_iou=0, ignore_iof_thr=-1),
                    sampler=dict(type="PseudoSampler"),
                    allowed_border=-1,
                    pos_weight=-1,
                    debug=False,
                ),
                test_cfg=dict(),
            ),
            train_dataloader=dict(
                batch_size=2,
                num_workers=0,
                sampler=dict(type="DefaultSampler", shuffle=True),
                batch_sampler=dict(type="AspectRatioBatchSampler"),
                dataset=dict(
                    type="CocoDataset",
                    metainfo=dict(classes=CLASSES),
                    data_root=str(root),
                    ann_file="train.json",
                    data_prefix=dict(img="images/"),
                    pipeline=[
                        dict(type="LoadImageFromFile"),
                        dict(type="LoadAnnotations", with_bbox=True),
                        dict(type="RandomFlip", prob=0.5),
                        dict(type="PackDetInputs"),
                    ],
                ),
            ),
            train_cfg=dict(type="EpochBasedTrainLoop", max_epochs=2),
            optim_wrapper=dict(type="OptimWrapper", optimizer=dict(type="AdamW", lr=0.01)),
            default_hooks=dict(checkpoint=dict(type="mmstreet.AtomicCheckpointHook", interval=1, max_keep_ckpts=1)),
            custom_hooks=[dict(type="mmstreet.PreflightHook"), dict(type="mmstreet.ExactResumeHook"), dict(type="mmstreet.FiniteLossHook")],
            randomness=dict(seed=0),
        )
    )
