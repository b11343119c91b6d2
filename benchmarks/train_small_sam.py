"""Train a small SAM on generated street scenes, from scratch: ``python benchmarks/train_small_sam.py OUT``.

Published SAM weights are large, and random ones show only that the path works. This model has 0.6 million parameters, learns in about
20 minutes on one core, and is saved in transformers' format, so that ``mmstreet.SAMMasks(weights=OUT)`` takes it like any other.

The objects are the connected regions of vehicles, people, two-wheelers, poles, lights and signs in the true label maps of the training
split. A prompt is the object's box, each side moved by up to a tenth of the box, a random point inside, and the class in the box,
blurred: about what a coarse prediction would ask. The network never sees a prediction, nor a picture of the validation split, on which
it is only scored. A run that was interrupted goes on where it last saved.
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

from mmstreet.labels import get_table
from mmstreet.refine.components import Component, find_components
from mmstreet.refine.frames import Frame
from mmstreet.refine.prediction import paint_rank

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
    width, decoder_width = 96, 48
    config = SamConfig(
        vision_config=dict(
            hidden_size=width,
            output_channels=decoder_width,
            num_hidden_layers=4,
            num_attention_heads=4,
            image_size=SIDE,
            patch_size=8,
            window_size=8,
            global_attn_indexes=[3],
            num_pos_feats=decoder_width // 2,
            mlp_dim=2 * width,
            initializer_range=0.02,
        ),
        prompt_encoder_config=dict(hidden_size=decoder_width, image_size=SIDE, patch_size=8, mask_input_channels=8),
        mask_decoder_config=dict(hidden_size=decoder_width, mlp_dim=4 * decoder_width, num_attention_heads=4, iou_head_hidden_dim=64),
    )
    model = SamModel(config)
    # transformers' initial weights are for layers of 256 and more, which narrow ones would answer with vanishing signals; and its
    # frequencies of positions are 48 times those of the published models.
    for module in model.modules():
        if isinstance(module, torch.nn.Linear | torch.nn.Conv2d | torch.nn.ConvTranspose2d):
            torch.nn.init.xavier_uniform_(module.weight)
    with torch.no_grad():
        model.shared_image_embedding.positional_embedding.normal_()
        model.vision_encoder.pos_embed.normal_(std=0.2)  # where the frame is empty, layer norms of equal values have huge gradients
    return model


def read_scenes(root: Path, split: str, limit: int | None = None) -> list[Scene]:
    """Read pictures and label maps of one split of the mini set."""
    table = get_table("bdd100k_sem19")
    asked = [i for i, name in enumerate(table.names) if paint_rank(name)]
    scenes = []
    for path in sorted((root / "labels" / "sem_seg" / "masks" / split).glob("*.png"))[:limit]:
        labels = np.array(Image.open(path))
        image = np.array(Image.open(next((root / "images" / "10k" / split).glob(f"{path.stem}.*"))).convert("RGB"))
        frame = Frame.fit(labels.shape, side=SIDE, squeeze=False)
        objects = find_components(labels, asked, min_area_px=MIN_AREA_PX)
        if objects:
            scenes.append(Scene(frame, image, labels, objects))
    return scenes


def draw_prompts(scene: Scene, rng: np.random.Generator, flip: bool) -> dict[str, torch.Tensor]:
    """Choose objects of a scene, each with a box that is a little off and a point inside, and draw their masks at low resolution."""
    height, width = scene.frame.image_hw
    chosen = [scene.objects[i] for i in rng.integers(len(scene.objects), size=PROMPTS_PER_IMAGE)]
    boxes, points, masks, coarse = [], [], [], []
    low = 4 * SIDE // 8
    for item in chosen:
        x1, y1, x2, y2 = item.box_xyxy
        size = np.array([x2 - x1, y2 - y1] * 2)
        box = np.array(item.box_xyxy, np.float64) + rng.uniform(-JITTER, JITTER, 4) * size
        rows, columns = np.nonzero(item.crop)
        at = rng.integers(len(rows))
        point = np.array([columns[at] + x1, rows[at] + y1], np.float64)
        full = torch.zeros(1, 1, height, width)
        full[0, 0, y1:y2, x1:x2] = torch.from_numpy(item.crop.astype(np.float32))
        inner = [round(length * low / SIDE) for length in scene.frame.inner_hw]
        small = F.interpolate(full, size=inner, mode="bilinear", antialias=True)[0, 0]
        window = [int(value) for value in np.clip(np.rint(box), 0, [width, height] * 2)]
        odds = coarse_odds(scene.labels == item.class_id, rng)
        odds = scene.frame.to_mask_prompt(odds[window[1] : window[3], window[0] : window[2]], window, low_side=low)[0]
        if flip:
            odds[:, : inner[1]] = odds[:, : inner[1]].flip(1)
            box[[0, 2]] = width - box[[2, 0]]
            point[0] = width - 1 - point[0]
            small = small.flip(1)
        boxes.append(np.clip(box, 0, [width, height] * 2))
        points.append(point)
        coarse.append(odds)
        masks.append(F.pad(small, (0, low - inner[1], 0, low - inner[0])))
    return {
        "input_boxes": torch.from_numpy(scene.frame.to_frame(np.array(boxes))),
        "input_points": torch.from_numpy(scene.frame.to_frame(np.array(points)))[:, None],
        "input_labels": torch.ones(len(boxes), 1, dtype=torch.int64),
        "input_masks": torch.stack(coarse)[:, None],
        "masks": torch.stack(masks),
    }


def coarse_odds(is_class: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Blur a true class, bool ``[H, W]``, to what a network at an output stride of 12 to 28 pixels could know of it; log odds."""
    stride, (height, width) = rng.uniform(12, 28), is_class.shape
    cells = [max(2, round(length / stride)) for length in (height, width)]
    share = F.interpolate(torch.from_numpy(is_class.astype(np.float32))[None, None], size=cells, mode="bilinear", antialias=True)
    odds = torch.logit(share.clamp(0.02, 0.98)) + torch.from_numpy(rng.normal(0, 0.7, share.shape)).float()
    return F.interpolate(odds, size=(height, width), mode="bilinear")[0, 0].numpy()


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


def run_batch(model: torch.nn.Module, scenes: list[Scene], rng: np.random.Generator, *, train: bool) -> tuple[torch.Tensor, torch.Tensor]:
    """One forward pass over some scenes."""
    flips = [train and bool(rng.integers(2)) for _ in scenes]
    drawn = [draw_prompts(scene, rng, flip) for scene, flip in zip(scenes, flips)]
    pixels = torch.cat([s.frame.to_pixels(np.ascontiguousarray(s.image[:, ::-1]) if flip else s.image) for s, flip in zip(scenes, flips)])
    if train:  # light and contrast of the whole picture
        pixels = pixels * torch.from_numpy(rng.uniform(0.8, 1.2, (len(scenes), 1, 1, 1))).float()
        pixels = pixels + torch.from_numpy(rng.uniform(-0.2, 0.2, (len(scenes), 1, 1, 1))).float()
    asked = {name: torch.cat([item[name] for item in drawn]) for name in drawn[0]}  # [n, ...]
    masks, prompt_masks = asked.pop("masks"), asked.pop("input_masks")
    inside = torch.zeros(masks.shape[1:], dtype=torch.bool)
    rows, columns = scenes[0].frame.inner_size(masks.shape[1])
    inside[:rows, :columns] = True
    corners = asked["input_boxes"].view(-1, 2, 2)
    center, half = corners.mean(1), corners.diff(dim=1)[:, 0]
    at = torch.arange(masks.shape[1]) * SIDE / masks.shape[1]
    near_x, near_y = ((at - center[:, i, None]).abs() <= (0.6 * half[:, i, None]).clamp(min=4) for i in range(2))
    embeddings = model.vision_encoder(pixels).last_hidden_state.repeat_interleave(PROMPTS_PER_IMAGE, 0)
    asked = {name: value[:, None] for name, value in asked.items()}  # one prompt to each copy of the picture
    answer = model(image_embeddings=embeddings, **asked, input_masks=prompt_masks, multimask_output=False)
    return compute_loss(answer.pred_masks.flatten(0, 2), answer.iou_scores.flatten(), masks, near_y[:, :, None] & near_x[:, None], inside)


def main() -> None:
    """Train, score, save."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, help="folder for the model")
    parser.add_argument("--data", type=Path, default=Path("data/mini"), help="mini set (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=700, help="steps of two pictures with 8 prompts each (default: %(default)s)")
    parser.add_argument("--lr", type=float, default=2e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--limit", type=int, help="use only so many pictures of each split")
    args = parser.parse_args()
    torch.set_num_threads(1)
    scenes, held_out = (read_scenes(args.data, split, args.limit) for split in ("train", "val"))
    model = small_sam(args.seed)
    rng = np.random.default_rng(args.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=args.lr, weight_decay=0.01)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=args.lr, total_steps=args.steps, pct_start=0.2)
    started, ious, first, state = time.process_time(), [], 1, args.out / "state.pt"
    if state.exists():
        saved = torch.load(state, weights_only=False)
        for item, name in ((model, "model"), (optimizer, "optimizer"), (schedule, "schedule")):
            item.load_state_dict(saved[name])
        rng.bit_generator.state, ious, first = saved["rng"], saved["ious"], saved["step"] + 1
        started -= saved["seconds"]
    print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, {len(scenes)} pictures", flush=True)
    for step in range(first, args.steps + 1):
        loss, iou = run_batch(model, [scenes[i] for i in rng.integers(len(scenes), size=2)], rng, train=True)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        ious.append(float(iou.mean()))
        if step % 50 == 0 or step == args.steps:
            print(f"step {step}: loss {loss.item():.3f}, IoU {np.mean(ious[-50:]):.3f}, {time.process_time() - started:.0f} s", flush=True)
        if step % 100 == 0:
            parts = {"model": model.state_dict(), "optimizer": optimizer.state_dict(), "schedule": schedule.state_dict()}
            args.out.mkdir(parents=True, exist_ok=True)
            seconds = time.process_time() - started
            torch.save({**parts, "rng": rng.bit_generator.state, "ious": ious, "step": step, "seconds": seconds}, state)
    seconds = time.process_time() - started
    with torch.no_grad():
        rng = np.random.default_rng(1)
        found = [run_batch(model.eval(), [scene], rng, train=False)[1] for scene in held_out]
    summary = {
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
