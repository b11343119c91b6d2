"""What ``train_small_sam.py`` learns from: generated scenes with their regions, and prompts about these."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from mmstreet.labels import IGNORE_INDEX, get_table
from mmstreet.refine.components import Component, find_components
from mmstreet.refine.frames import Frame

SIDE, PATCH = 320, 8
LOW_SIDE = 4 * SIDE // PATCH
"""Side of a mask: SAM's decoder quadruples its grid of patches."""
PROMPTS_PER_IMAGE = 8
JITTER = 0.1
MIN_AREA_PX = 200


@dataclass(frozen=True)
class Scene:
    """A picture, uint8 ``[H, W, 3]``, its true classes ``[H, W]``, and its objects."""

    frame: Frame
    image: np.ndarray
    labels: np.ndarray
    objects: list[Component]


def read_scenes(root: Path, split: str, limit: int | None = None) -> list[Scene]:
    """Read pictures and label maps of one split of the mini set."""
    table = get_table("bdd100k_sem19")
    scenes = []
    for path in sorted((root / "labels" / "sem_seg" / "masks" / split).glob("*.png"))[:limit]:
        labels = np.array(Image.open(path))
        image = np.array(Image.open(next((root / "images" / "10k" / split).glob(f"{path.stem}.*"))).convert("RGB"))
        frame = Frame.fit(labels.shape, side=SIDE, squeeze=False)
        objects = find_components(labels, range(len(table.names)), min_area_px=MIN_AREA_PX)
        if objects:
            scenes.append(Scene(frame, image, labels, objects))
    return scenes


def render_pixels(scenes: list[Scene], flips: list[bool], rng: np.random.Generator, *, train: bool) -> torch.Tensor:
    """The pictures in their frames, float ``[B, 3, SIDE, SIDE]``; in training their light and contrast vary."""
    pixels = torch.cat([s.frame.to_pixels(np.ascontiguousarray(s.image[:, ::-1]) if flip else s.image) for s, flip in zip(scenes, flips)])
    if train:
        pixels = pixels * torch.from_numpy(rng.uniform(0.8, 1.2, (len(scenes), 1, 1, 1))).float()
        pixels = pixels + torch.from_numpy(rng.uniform(-0.2, 0.2, (len(scenes), 1, 1, 1))).float()
    return pixels


def render_classes(scene: Scene, flip: bool) -> torch.Tensor:
    """The true classes at the resolution of the masks, int64 ``[s, s]``, 255 beyond the picture."""
    labels = torch.from_numpy(np.ascontiguousarray(scene.labels[:, ::-1]) if flip else scene.labels)
    small = F.interpolate(labels[None, None].float(), size=scene.frame.inner_size(LOW_SIDE), mode="nearest")[0, 0].long()
    return F.pad(small, (0, LOW_SIDE - small.shape[1], 0, LOW_SIDE - small.shape[0]), value=IGNORE_INDEX)


def sample_prompts(scene: Scene, rng: np.random.Generator, flip: bool) -> dict[str, torch.Tensor]:
    """Choose regions of a scene, each with a box that is a little off and a point inside, and render their masks at low resolution."""
    height, width = scene.frame.image_hw
    weight = np.sqrt([item.area_px for item in scene.objects])  # between "every region" and "every pixel" alike
    chosen = [scene.objects[i] for i in rng.choice(len(scene.objects), size=PROMPTS_PER_IMAGE, p=weight / weight.sum())]
    boxes, points, masks = [], [], []
    inner = scene.frame.inner_size(LOW_SIDE)
    for item in chosen:
        x1, y1, x2, y2 = item.box_xyxy
        box = np.array(item.box_xyxy, np.float64) + rng.uniform(-JITTER, JITTER, 4) * np.array([x2 - x1, y2 - y1] * 2)
        rows, columns = np.nonzero(item.crop)
        at = rng.integers(len(rows))
        point = np.array([columns[at] + x1, rows[at] + y1], np.float64)
        full = torch.zeros(1, 1, height, width)
        full[0, 0, y1:y2, x1:x2] = torch.from_numpy(item.crop.astype(np.float32))
        small = F.interpolate(full, size=inner, mode="bilinear", antialias=True)[0, 0]
        if flip:
            box[[0, 2]] = width - box[[2, 0]]
            point[0] = width - 1 - point[0]
            small = small.flip(1)
        boxes.append(np.clip(box, 0, [width, height] * 2))
        points.append(point)
        masks.append(F.pad(small, (0, LOW_SIDE - inner[1], 0, LOW_SIDE - inner[0])))
    return {
        "input_boxes": torch.from_numpy(scene.frame.to_frame(np.array(boxes))),
        "input_points": torch.from_numpy(scene.frame.to_frame(np.array(points)))[:, None],
        "input_labels": torch.ones(len(boxes), 1, dtype=torch.int64),
        "masks": torch.stack(masks),
    }
