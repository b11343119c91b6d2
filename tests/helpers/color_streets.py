"""Images in the colours of their labels, and a model whose weights are the colours: its answers are known without running it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from mmengine.model import BaseModel
from mmengine.registry import MODELS
from mmengine.structures import PixelData
from PIL import Image
from torch import nn

from mmstreet.labels import BDD100K_SEM19

SHAPE = (24, 40)
CONFIG = """
custom_imports = dict(imports=['tests.helpers.color_streets'])
default_scope = 'mmseg'
model = dict(type='NearestColor')
data_root = {root!r}
test_pipeline = [dict(type='mmstreet.LoadImage'), dict(type='mmstreet.LoadLabels'), dict(type='PackSegInputs')]
test_dataloader = dict(
    batch_size=2,
    num_workers=0,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(type='mmstreet.BDD100KSemSeg', data_root=data_root, split='val', test_mode=True, pipeline=test_pipeline),
)
test_cfg = dict()
test_evaluator = dict(type='mmstreet.StreetIoUMetric')
visualizer = None
"""


@MODELS.register_module(force=True)
class NearestColor(BaseModel):
    """Predict the class whose colour, a weight, is nearest; images are BGR."""

    def __init__(self, num_classes: int = 19) -> None:
        super().__init__()
        self.colors = nn.Parameter(torch.zeros(num_classes, 3))

    def forward(self, inputs: list, data_samples: list, mode: str = "tensor") -> list:
        for image, sample in zip(inputs, data_samples, strict=True):
            distance = (image.flip(0).float()[None] - self.colors[..., None, None]).square().sum(1)
            sample.pred_sem_seg = PixelData(data=distance.argmin(0, keepdim=True))
        return data_samples


def write_streets(root: Path, *, count: int = 5) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Write images and labels in BDD100K's layout; the images show other classes on ever more columns, the last one most.

    Returns:
        Labels and what the model will predict, by the image's name.
    """
    table, pairs = BDD100K_SEM19, {}
    images, masks = root / "images/10k/val", root / "labels/sem_seg/masks/val"
    for folder in (images, masks):
        folder.mkdir(parents=True)
    generator = np.random.default_rng(0)
    for i in range(count):
        labels = generator.choice([0, 2, 8, 10, 13], SHAPE).astype(np.uint8)
        shown = labels.copy()
        shown[:, : 4 * i] = table.index("person")
        labels[:2] = 255
        Image.fromarray(np.array(table.palette, np.uint8)[shown]).save(images / f"street{i}.jpg", quality=100, subsampling=0)
        Image.fromarray(labels).save(masks / f"street{i}.png")
        pairs[f"street{i}.jpg"] = labels, shown
    return pairs


def write_checkpoint(path: Path, *, num_classes: int = 19) -> Path:
    """Write a checkpoint as mmengine does, with its log beside the weights."""
    buffer = HistoryBuffer()
    buffer.update(1.0)
    colors = torch.tensor(BDD100K_SEM19.palette[:num_classes], dtype=torch.float32)
    torch.save({"state_dict": {"colors": colors}, "meta": {"epoch": 1}, "message_hub": {"log_scalars": {"train/loss": buffer}}}, path)
    return path
