"""A segmentor of hand-set weights: the class of a pixel is the brightest of its three colours, so every prediction is known beforehand."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.registry import MODELS
from PIL import Image
from torch import Tensor, nn

CLASSES = ("red thing", "green thing", "blue thing")
PALETTE = [[200, 0, 0], [0, 200, 0], [0, 0, 200]]
CONFIG = """
default_scope = "mmseg"
custom_imports = dict(imports=["tests.helpers.color_model"])
model = dict(
    type="EncoderDecoder",
    data_preprocessor=dict(type="SegDataPreProcessor", mean=[100.0, 110.0, 120.0], std=[50.0, 60.0, 70.0], bgr_to_rgb=True),
    backbone=dict(type="SameColors"),
    decode_head=dict(
        type="FCNHead", in_channels=3, channels=3, in_index=0, num_convs=0, concat_input=False, dropout_ratio=0, num_classes=3,
        loss_decode=dict(type="CrossEntropyLoss"),
    ),
    test_cfg=dict(mode="whole"),
)
test_dataloader = dict(
    dataset=dict(
        type="BaseSegDataset",
        data_root=".",
        data_prefix=dict(img_path="images", seg_map_path="labels"),
        metainfo=dict(classes=("red thing", "green thing", "blue thing"), palette=[[200, 0, 0], [0, 200, 0], [0, 0, 200]]),
        pipeline=[dict(type="LoadImageFromFile"), dict(type="LoadAnnotations"), dict(type="PackSegInputs")],
    )
)
"""
SPLITS = """
data_root = {root!r}
test_dataloader["dataset"].update(data_root=data_root, data_prefix=dict(img_path="images/test", seg_map_path="labels/test"), test_mode=True)
test_dataloader.update(batch_size=2, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=False))
val_dataloader = dict(dataset=dict(
    type="BaseSegDataset", data_root=data_root, data_prefix=dict(img_path="images/val", seg_map_path="labels/val"),
    metainfo=test_dataloader["dataset"]["metainfo"], pipeline=[],
))
val_dataloader.update(batch_size=2, num_workers=0, sampler=dict(type="DefaultSampler", shuffle=False))
val_evaluator = test_evaluator = dict(type="mmstreet.StreetIoUMetric")
val_cfg = test_cfg = dict()
"""
"""What makes a config of :data:`CONFIG` testable: its own test split and a validation split, in ``images/`` and ``labels/``."""


@MODELS.register_module(force=True)
class SameColors(nn.Module):
    """A backbone that returns the image."""

    def forward(self, x: Tensor) -> tuple[Tensor]:
        return (x,)


def write_model(folder: Path, *, change: str = "", num_classes: int = 3, extra: object = None) -> tuple[str, str]:
    """Write config and checkpoint; ``change`` is appended to the config, ``extra`` goes into the checkpoint."""
    folder.mkdir(parents=True, exist_ok=True)
    config, checkpoint = folder / "colors.py", folder / "colors.pth"
    config.write_text(CONFIG + change)
    # Normalised colours are (x - mean) / std: the weights undo std, the bias the mean, so the logits are colours / 10.
    weight = torch.diag(torch.tensor([50.0, 60.0, 70.0]) / 10)[:num_classes].reshape(-1, 3, 1, 1)
    weights = {"decode_head.conv_seg.weight": weight, "decode_head.conv_seg.bias": torch.tensor([10.0, 11.0, 12.0])[:num_classes]}
    meta = {"dataset_meta": {"classes": CLASSES[:num_classes], "palette": PALETTE[:num_classes]}}
    torch.save({"state_dict": weights, "meta": meta} | ({"extra": extra} if extra is not None else {}), checkpoint)
    return str(config), str(checkpoint)


def render_colors(seed: int, size_hw: tuple[int, int] = (24, 36), patch: int = 6) -> tuple[np.ndarray, np.ndarray]:
    """Draw patches of one clear colour each; return RGB uint8 ``[H, W, 3]`` and the class of each pixel ``[H, W]``."""
    rng = np.random.default_rng(seed)
    grid = rng.integers(0, 3, (-(-size_hw[0] // patch), -(-size_hw[1] // patch)))
    labels = np.kron(grid, np.ones((patch, patch), np.uint8))[: size_hw[0], : size_hw[1]].astype(np.uint8)
    image = rng.integers(0, 60, (*size_hw, 3), dtype=np.uint8)
    np.put_along_axis(image, labels[..., None], rng.integers(180, 256, (*size_hw, 1), dtype=np.uint8), axis=2)
    return image, labels


def write_png(path: Path, image: np.ndarray) -> Path:
    """Write RGB, RGBA or grey of 8 or 16 bits."""
    path.parent.mkdir(parents=True, exist_ok=True)
    bgr = {2: lambda x: x, 3: lambda x: x[..., [2, 1, 0, *range(3, x.shape[2])]] if x.ndim == 3 else x}[image.ndim](image)
    assert cv2.imwrite(str(path), bgr)
    return path


def load_config(path: str) -> Config:
    """Read a config."""
    return Config.fromfile(path)


def read_ids(path: str | Path) -> np.ndarray:
    """Read the ids of an indexed or grey PNG."""
    with Image.open(path) as picture:
        assert picture.mode in ("P", "L")
        return np.asarray(picture)
