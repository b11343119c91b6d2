"""Train a tiny CLIP on crops of the mini set and class names, so that its pseudo-masks mean something: a stand-in where no CLIP can be had.

    python -m benchmarks.train_tiny_clip [--data data/mini] [--out checkpoints/tiny_clip] [--steps 400]

A crop's caption is the class that fills most of it. The image is compared with the sentences "a photo of a CLASS." of all classes, by the
mean of its dense features (the value path, as the teacher reads them); image and text encoder learn together. Then the folder is a CLIP for
``mmstreet.ClipTeacher`` and the tools, and the quality of its pseudo-masks on the validation images is printed and written beside it.

This uses masks to name the crops, as captions would; it shows that the path works, not what image-level labels are worth.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch.nn import functional as F

from benchmarks.tiny_clip import save_tiny_clip
from mmstreet.datasets.layouts import LAYOUTS
from mmstreet.datasets.pairs import list_pairs
from mmstreet.files.images import read_image
from mmstreet.formats.label_files import read_labels
from mmstreet.labels import get_table
from mmstreet.models.clip import CLIP_MEAN, CLIP_STD, ClipTeacher, dense_features, load_clip
from mmstreet.models.text_embeddings import save_text_embeddings
from mmstreet.models.text_prompts import embed_classes, prompt_names

SIZE_WH = (256, 128)
CROP = 32
BATCH = 96


def read(data: Path, split: str, count: int | None) -> tuple[np.ndarray, np.ndarray]:
    """Read RGB images ``[N, H, W, 3]`` and labels ``[N, H, W]`` at 256x128."""
    layout = LAYOUTS["bdd100k_10k"]
    table, images, maps = get_table(layout.table), [], []
    for pair in list_pairs(data, layout, split)[:count]:
        images.append(cv2.resize(read_image(pair.image_path), SIZE_WH, interpolation=cv2.INTER_AREA)[..., ::-1])
        maps.append(cv2.resize(read_labels(pair.label_path, table), SIZE_WH, interpolation=cv2.INTER_NEAREST))
    return np.stack(images), np.stack(maps)


def sample_crops(
    images: np.ndarray, maps: np.ndarray, places: list[np.ndarray], rng: np.random.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """Sample crops around pixels of classes, each class equally often; with each crop, the class that fills most of it.

    ``places`` has, for each class, rows of image, row and column where it is.
    """
    crops, classes = [], []
    while len(crops) < BATCH:
        spots = places[int(rng.integers(len(places)))]
        if not len(spots):
            continue
        n, y, x = spots[rng.integers(len(spots))]
        side = int(rng.integers(12, 49))
        top, left = (int(np.clip(c - side // 2, 0, limit - side)) for c, limit in ((y, SIZE_WH[1]), (x, SIZE_WH[0])))
        window = (n, slice(top, top + side), slice(left, left + side))
        counts = np.bincount(maps[window].ravel(), minlength=256)[: len(places)]
        if not counts.any():
            continue
        crop = cv2.resize(images[window], (CROP, CROP), interpolation=cv2.INTER_LINEAR)
        crops.append(crop[:, ::-1] if rng.random() < 0.5 else crop)
        classes.append(int(counts.argmax()))
    pixels = torch.from_numpy(np.stack(crops)).permute(0, 3, 1, 2).float()
    return (pixels - torch.tensor(CLIP_MEAN).view(3, 1, 1)) / torch.tensor(CLIP_STD).view(3, 1, 1), torch.tensor(classes)


def judge(folder: Path, embeddings: Path, images: np.ndarray, maps: np.ndarray, table: str) -> dict:
    """Measure pseudo-masks of whole images against the truth, when the classes of each image are known."""
    teacher, size = ClipTeacher(model=str(folder), text_embeddings=str(embeddings), table=table), len(get_table(table))
    counts = np.zeros((size, size), np.int64)
    for image, labels in zip(images, maps):
        present = torch.zeros(1, size, dtype=torch.bool)
        present[0, np.setdiff1d(labels, 255).astype(int)] = True
        mask = teacher.label(torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float(), present)[0].numpy()
        valid = labels != 255
        counts += np.bincount(labels[valid].astype(int) * size + mask[valid], minlength=counts.size).reshape(counts.shape)
    right, union = np.diag(counts), counts.sum(0) + counts.sum(1) - np.diag(counts)
    return {
        "right_percent": 100 * right.sum() / counts.sum(),
        "mIoU": 100 * float(np.mean((right / np.maximum(union, 1))[counts.sum(1) > 0])),
    }


def main() -> None:
    """Train, save, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=Path("data/mini"))
    parser.add_argument("--out", type=Path, default=Path("checkpoints/tiny_clip"))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--images", type=int, help="training images, default all")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    started, table = time.process_time(), "bdd100k_sem19"
    images, maps = read(args.data, "train", args.images)
    places = [np.argwhere(maps == i)[::7] for i in range(len(get_table(table)))]
    save_tiny_clip(args.out, seed=args.seed, patch_size=8, width=64, hidden=64, layers=3, image_size=CROP)
    vision, text = (load_clip(f"CLIP{part}ModelWithProjection", str(args.out)).train() for part in ("Vision", "Text"))
    tokenizer = load_clip("CLIPTokenizer", str(args.out))
    words = prompt_names(table)
    sentences = tokenizer([f"a photo of a {word}." for word in words], padding="max_length", max_length=77, return_tensors="pt")
    optimizer = torch.optim.AdamW([*vision.parameters(), *text.parameters()], lr=1e-3, weight_decay=1e-2)
    rate = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=1.5e-3, total_steps=args.steps)
    rng = np.random.default_rng(args.seed)
    for step in range(args.steps):
        pixels, classes = sample_crops(images, maps, places, rng)
        vectors = F.normalize(text(**sentences).text_embeds, dim=1)
        features = dense_features(vision, pixels).mean((2, 3))
        loss = F.cross_entropy(15 * F.normalize(features, dim=1) @ vectors.T, classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        if (step + 1) % 100 == 0:
            print(f"step {step + 1}: loss {loss.item():.3f}, {time.process_time() - started:.0f} s", flush=True)
    whole = dict(vision.state_dict())
    whole.update(text.state_dict())
    save_whole(args.out, whole)
    for name, other in (("text_embeddings", table), ("text_embeddings_camvid", "camvid11")):
        vectors = embed_classes(prompt_names(other), tokenizer, text, templates=("a photo of a {}.",))
        names = get_table(other).names
        save_text_embeddings(args.out / f"{name}.npz", vectors, classes=names, prompts=prompt_names(other), model=str(args.out))
    quality = judge(args.out, args.out / "text_embeddings.npz", *read(args.data, "val", 40), table)
    quality["cpu_seconds"] = round(time.process_time() - started)
    (args.out / "quality.json").write_text(json.dumps(quality))
    print(quality)


def save_whole(folder: Path, state: dict) -> None:
    """Write both trained encoders as one CLIP."""
    from transformers import CLIPModel

    model = CLIPModel.from_pretrained(folder)
    missing = model.load_state_dict(state, strict=False).missing_keys
    if set(missing) - {"logit_scale"}:
        raise ValueError(f"the encoders lack {missing}")
    model.save_pretrained(folder)


if __name__ == "__main__":
    main()
