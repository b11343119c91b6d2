"""Train a small SAM on generated street scenes, from scratch: ``python -m benchmarks.train_small_sam OUT``.

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
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from benchmarks.small_sam_scenes import PATCH, SIDE, Scene, read_scenes, render_classes, render_pixels, sample_prompts
from mmstreet.labels import IGNORE_INDEX, get_table


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
            patch_size=PATCH,
            window_size=8,
            global_attn_indexes=[],  # one global layer takes as long as all the rest; the decoder sees the whole picture anyway
            num_pos_feats=decoder_width // 2,
            mlp_dim=2 * width,
            initializer_range=0.02,
        ),
        prompt_encoder_config=dict(hidden_size=decoder_width, image_size=SIDE, patch_size=PATCH, mask_input_channels=8),
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


def ask(
    model: torch.nn.Module, embeddings: torch.Tensor, scenes: list[Scene], flips: list[bool], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ask about some regions of each scene; returns loss and IoU as :func:`compute_loss` does."""
    drawn = [sample_prompts(scene, rng, flip) for scene, flip in zip(scenes, flips)]
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
        embeddings = model.vision_encoder(render_pixels(chosen, flips, rng, train=True)).last_hidden_state
        classes = torch.stack([render_classes(scene, flip) for scene, flip in zip(chosen, flips)])
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
            embeddings = model.vision_encoder(render_pixels([scene], [False], rng, train=False)).last_hidden_state
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
