"""Train a small SAM on generated street scenes, from scratch: ``python benchmarks/train_small_sam.py OUT``.

Published SAM weights are large, and random ones show only that the path works. This model has 0.7 million parameters, learns within
20 minutes of processor time, and is saved in transformers' format, so that ``mmstreet.SAMMasks(weights=OUT)`` takes it like any other.

First the image encoder learns to name the class of every place, through a layer that is thrown away: with 160 pictures this is the
quickest teacher of what borders on what. Then the whole model learns to answer prompts about the connected regions of every class in the
true label maps of the training split. A prompt is the region's box, each side moved by up to a tenth of the box, and a random point
inside. The network never sees a prediction, nor a picture of the validation split, on which it is only scored. A run that was interrupted
goes on where it last saved.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from mmstreet.labels import IGNORE_INDEX, get_table
from mmstreet.refine.components import Component, find_components
from mmstreet.refine.frames import Frame

SIDE = 320
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


def small_sam(seed: int = 0) -> torch.nn.Module:
    """Build a SAM of four layers on 40×40 patches, with masks of 160×160."""
    from transformers import SamConfig, SamModel

    torch.manual_seed(seed)
    width, decoder_width = 96, 64
    config = SamConfig(
        vision_config=dict(
            hidden_size=width,
            output_channels=decoder_width,
            num_hidden_layers=4,
            num_attention_heads=4,
            image_size=SIDE,
            patch_size=8,
            window_size=8,
            global_attn_indexes=[],  # one global layer takes as long as all the rest; the decoder sees the whole picture anyway
            num_pos_feats=decoder_width // 2,
            mlp_dim=2 * width,
            initializer_range=0.02,
        ),
        prompt_encoder_config=dict(hidden_size=decoder_width, image_size=SIDE, patch_size=8, mask_input_channels=8),
        mask_decoder_config=dict(hidden_size=decoder_width, mlp_dim=4 * decoder_width, num_attention_heads=4, iou_head_hidden_dim=64),
    )
    model = SamModel(config)
    # transformers' initial weights are for layers of 256 and more, which narrow ones would answer with vanishing signals; and its
    # frequencies of positions are many times those of the published models.
    for module in model.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            torch.nn.init.xavier_uniform_(module.weight)
    with torch.no_grad():
        model.shared_image_embedding.positional_embedding.normal_()
        model.vision_encoder.pos_embed.normal_(std=0.2)  # where the frame is empty, layer norms of equal values have huge gradients
    return model


class ClassHead(torch.nn.Conv2d):
    """Reads every class from the image embedding, at the resolution of the masks; the encoder's teacher, not part of the model."""

    def __init__(self, model: torch.nn.Module, num_classes: int) -> None:
        super().__init__(model.config.vision_config.output_channels, num_classes * 16, 1)

    def forward(self, embeddings: torch.Tensor) -> torch.Tensor:
        """Turn ``[B, E, s, s]`` into logits ``[B, C, 4s, 4s]``."""
        return F.pixel_shuffle(super().forward(embeddings), 4)


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


def draw_prompts(scene: Scene, rng: np.random.Generator, flip: bool) -> dict[str, torch.Tensor]:
    """Choose regions of a scene, each with a box that is a little off and a point inside, and draw their masks at low resolution."""
    height, width = scene.frame.image_hw
    weight = np.sqrt([item.area_px for item in scene.objects])  # between "every region" and "every pixel" alike
    chosen = [scene.objects[i] for i in rng.choice(len(scene.objects), size=PROMPTS_PER_IMAGE, p=weight / weight.sum())]
    boxes, points, masks = [], [], []
    low = 4 * SIDE // 8
    inner = scene.frame.inner_size(low)
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
        masks.append(F.pad(small, (0, low - inner[1], 0, low - inner[0])))
    return {
        "input_boxes": torch.from_numpy(scene.frame.to_frame(np.array(boxes))),
        "input_points": torch.from_numpy(scene.frame.to_frame(np.array(points)))[:, None],
        "input_labels": torch.ones(len(boxes), 1, dtype=torch.int64),
        "masks": torch.stack(masks),
    }


def draw_classes(scene: Scene, flip: bool) -> torch.Tensor:
    """The true classes at the resolution of the masks, int64 ``[s, s]``, 255 beyond the picture."""
    low = 4 * SIDE // 8
    labels = torch.from_numpy(np.ascontiguousarray(scene.labels[:, ::-1]) if flip else scene.labels)
    small = F.interpolate(labels[None, None].float(), size=scene.frame.inner_size(low), mode="nearest")[0, 0].long()
    return F.pad(small, (0, low - small.shape[1], 0, low - small.shape[0]), value=IGNORE_INDEX)


def compute_loss(
    logits: torch.Tensor, quality: torch.Tensor, masks: torch.Tensor, near: torch.Tensor, inside: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross entropy near the box and away from it, dice, and the error of the predicted IoU; returns the loss and the IoU of the masks.

    Args:
        logits: float ``[n, s, s]``.
        quality: Predicted IoU ``[n]``.
        masks: Truth in ``[0, 1]``, ``[n, s, s]``.
        near: bool ``[n, s, s]``: the box and a tenth of it around.
        inside: bool ``[s, s]``: where the frame shows the picture.
    """
    probs = logits.sigmoid() * inside
    entropy = F.binary_cross_entropy_with_logits(logits, masks, reduction="none")
    near = near & inside
    far = inside & ~near
    entropy = (entropy * near).sum((1, 2)) / near.sum((1, 2)).clamp(min=1) + (entropy * far).sum((1, 2)) / far.sum((1, 2)).clamp(min=1)
    dice = 1 - (2 * (probs * masks).sum((1, 2)) + 1) / (probs.sum((1, 2)) + masks.sum((1, 2)) + 1)
    found, truth = (logits > 0) & inside, masks > 0.5
    iou = (found & truth).sum((1, 2)) / (found | truth).sum((1, 2)).clamp(min=1)
    return (entropy + dice + (quality - iou).square()).mean(), iou


def draw_pixels(scenes: list[Scene], flips: list[bool], rng: np.random.Generator, *, train: bool) -> torch.Tensor:
    """The pictures in their frames, float ``[B, 3, SIDE, SIDE]``; in training their light and contrast vary."""
    pixels = torch.cat([s.frame.to_pixels(np.ascontiguousarray(s.image[:, ::-1]) if flip else s.image) for s, flip in zip(scenes, flips)])
    if train:
        pixels = pixels * torch.from_numpy(rng.uniform(0.8, 1.2, (len(scenes), 1, 1, 1))).float()
        pixels = pixels + torch.from_numpy(rng.uniform(-0.2, 0.2, (len(scenes), 1, 1, 1))).float()
    return pixels


def ask(
    model: torch.nn.Module, embeddings: torch.Tensor, scenes: list[Scene], flips: list[bool], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ask about some regions of each scene; returns loss and IoU as :func:`compute_loss` does."""
    drawn = [draw_prompts(scene, rng, flip) for scene, flip in zip(scenes, flips)]
    asked = {name: torch.stack([item[name] for item in drawn]) for name in drawn[0]}  # [B, n, ...]
    masks = asked.pop("masks").flatten(0, 1)
    inside = torch.zeros(masks.shape[1:], dtype=torch.bool)
    rows, columns = scenes[0].frame.inner_size(masks.shape[1])
    inside[:rows, :columns] = True
    corners = asked["input_boxes"].view(-1, 2, 2)
    center, half = corners.mean(1), corners.diff(dim=1)[:, 0]
    at = torch.arange(masks.shape[1]) * SIDE / masks.shape[1]
    near_x, near_y = ((at - center[:, i, None]).abs() <= (0.6 * half[:, i, None]).clamp(min=4) for i in range(2))
    answer = model(image_embeddings=embeddings, **asked, multimask_output=False)
    return compute_loss(answer.pred_masks.flatten(0, 2), answer.iou_scores.flatten(), masks, near_y[:, :, None] & near_x[:, None], inside)


def main() -> None:
    """Train, score, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the model")
    parser.add_argument("--data", type=Path, default=Path("data/mini"), help="mini set (default: %(default)s)")
    parser.add_argument("--class-steps", type=int, default=2000, help="steps of two pictures for the encoder alone (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=1500, help="steps of two pictures with 8 prompts each (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="use only so many pictures of each split")
    args = parser.parse_args()
    torch.set_num_threads(1)
    scenes, held_out = (read_scenes(args.data, split, args.limit) for split in ("train", "val"))
    model = small_sam(args.seed)
    head = ClassHead(model, len(get_table("bdd100k_sem19").names))
    rng = np.random.default_rng(args.seed)
    optimizer = torch.optim.AdamW([*model.parameters(), *head.parameters()], lr=args.lr, weight_decay=0.01)
    last = args.class_steps + args.steps
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=args.lr, total_steps=last, pct_start=0.1)
    parts = {"model": model, "head": head, "optimizer": optimizer, "schedule": schedule}
    started, ious, first, state = time.process_time(), [], 1, args.out / "state.pt"
    if state.exists():
        saved = torch.load(state, weights_only=False)
        for name, part in parts.items():
            part.load_state_dict(saved[name])
        rng.bit_generator.state, ious, first = saved["rng"], saved["ious"], saved["step"] + 1
        started -= saved["seconds"]
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {len(scenes)} pictures", flush=True)
    for step in range(first, last + 1):
        chosen = [scenes[i] for i in rng.integers(len(scenes), size=2)]
        flips = [bool(rng.integers(2)) for _ in chosen]
        embeddings = model.vision_encoder(draw_pixels(chosen, flips, rng, train=True)).last_hidden_state
        classes = torch.stack([draw_classes(scene, flip) for scene, flip in zip(chosen, flips)])
        loss = F.cross_entropy(head(embeddings), classes, ignore_index=IGNORE_INDEX)
        if step > args.class_steps:
            prompt_loss, iou = ask(model, embeddings, chosen, flips, rng)
            loss = loss + prompt_loss
            ious.append(float(iou.mean()))
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 0 or step == last:
            learnt = f", IoU {np.mean(ious[-50:]):.3f}" if ious else ""
            print(f"step {step}: loss {loss.item():.3f}{learnt}, {time.process_time() - started:.0f} s", flush=True)
        if step % 100 == 0:
            args.out.mkdir(parents=True, exist_ok=True)
            rest = {"rng": rng.bit_generator.state, "ious": ious, "step": step, "seconds": time.process_time() - started}
            torch.save({name: part.state_dict() for name, part in parts.items()} | rest, state)
    seconds = time.process_time() - started
    with torch.no_grad():
        rng, found = np.random.default_rng(1), []
        for scene in held_out:
            embeddings = model.vision_encoder(draw_pixels([scene], [False], rng, train=False)).last_hidden_state
            found.append(ask(model.eval(), embeddings, [scene], [False], rng)[1])
    summary = {
        "class_steps": args.class_steps,
        "steps": args.steps,
        "seed": args.seed,
        "cpu_seconds": round(seconds),
        "train_iou": float(np.mean(ious[-100:])),
        "val_iou": float(torch.cat(found).mean()),
    }
    model.save_pretrained(args.out)
    (args.out / "training.json").write_text(json.dumps(summary, indent=2) + "\n")
    print(json.dumps(summary))


if __name__ == "__main__":
    main()
