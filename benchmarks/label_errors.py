"""How many labels that were damaged on purpose come to the front of ``mmstreet test --label-errors``?

Two per cent of the connected components of the labels, of 50 pixels or more, are damaged by seed: a wrong class, an object forgotten,
moved or made up, a quarter each. Every area where prediction and label differ is ranked as the command does. A damage counts as found if
among the first 5 % of that list there is an area most of whose pixels it changed. A model is asked about images it was not trained on:

``python -m benchmarks.label_errors data/camvid11 --split val --checkpoint best.pth --seeds 0 1 2``   (a model trained on the other split)
``python -m benchmarks.label_errors data/camvid11 --split train --folds 3 --epochs 30 --work work_dirs/folds``

With ``--folds`` the images are divided at random, and the labels of each part are looked at by a model that was trained on the damaged
labels of the others; CamVid's frames are a second apart, so the others hold much the same views. A checkpoint that has seen the images of
the split can be asked too; then the numbers say less, for it has learned the labels before they were damaged.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.label_damage import KINDS, LEAST_PIXELS, Damage, damage_maps
from mmstreet.files.config_files import find_config
from mmstreet.files.images import read_rgb
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.files.tables import markdown_table
from mmstreet.metrics.disagreements import find_disagreements
from mmstreet.predict.inference import load_trained

FIRST = 0.05


def list_files(root: Path, split: str) -> list[tuple[Path, Path]]:
    """Return image and label file of each frame of a split."""
    labels = sorted((root / "labels" / split).glob("*.png"))
    return [(root / "images" / split / f"{path.stem}.jpg", path) for path in labels]


def predict(config: str, checkpoint: Path, images: Sequence[Path], device: str) -> list[np.ndarray]:
    """Return class probabilities, float16 ``[C, H, W]``, of every image."""
    model = load_trained(config, checkpoint, device=device)
    return [probs.astype(np.float16) for path in images for probs in model.predict_probs([read_rgb(path)])]


def rank_areas(
    probs: Sequence[np.ndarray], maps: Sequence[np.ndarray], damages: Sequence[Sequence[Damage]], *, plain: bool = False
) -> np.ndarray:
    """Rank the areas of all images as the command does, or, ``plain``, by confidence times the logarithm of the size.

    Returns:
        ``[N, 2]``, of each area its image and the number of the damage that changed most of its pixels, -1 for none.
    """
    rows, scores = [], []
    for i, (prob, labels) in enumerate(zip(probs, maps)):
        logs = np.log(np.maximum(prob.astype(np.float64), 1e-7))
        preds, valid = logs.argmax(0), labels != IGNORE_INDEX
        wrong = valid & (preds != labels)
        truth = np.where(valid, labels, 0).astype(np.int64)
        pairs = np.stack([np.take_along_axis(logs, ids[None], 0)[0][wrong] for ids in (preds, truth)])
        found = find_disagreements(labels, preds, wrong, pairs)
        owner = np.full(len(found.areas), -1)
        for number, damage in enumerate(damages[i]):
            inside = np.bincount(found.parts[damage.changed & (found.parts >= 0)], minlength=len(owner))
            owner[2 * inside > found.areas] = number
        rows += [(i, number) for number in owner.tolist()]
        scores += (found.confidence * np.log(found.areas) if plain else found.scores).tolist()
    return np.array(rows)[np.argsort(-np.array(scores), kind="stable")]


def count_found(ranked: np.ndarray, damages: Sequence[Sequence[Damage]]) -> dict[str, float]:
    """Return per cent of the damages found among the first :data:`FIRST` of the list, of all and of each kind, and the list's length."""
    first = {tuple(row) for row in ranked[: math.ceil(FIRST * len(ranked))].tolist() if row[1] >= 0}
    marked = [(damage.kind, (i, number) in first) for i, some in enumerate(damages) for number, damage in enumerate(some)]
    shares = {kind: 100 * float(np.mean([hit for of, hit in marked if kind in ("found", of)])) for kind in ("found", *KINDS)}
    return {"damaged": len(marked), "areas": len(ranked)} | shares


def train_fold(
    root: Path, frames: Sequence[tuple[Path, Path]], maps: Sequence[np.ndarray], held: np.ndarray, args: argparse.Namespace
) -> Path:
    """Train on the damaged labels of the frames that are not held out, and return the folder of the run."""
    for (image, label), ids, out in zip(frames, maps, held.tolist()):
        split = "val" if out else "train"
        for kind in ("images", "labels"):
            (root / kind / split).mkdir(parents=True, exist_ok=True)
        (root / "images" / split / image.name).symlink_to(image.resolve())
        Image.fromarray(ids).save(root / "labels" / split / label.name)
    options = [f"{split}_dataloader.dataset.data_root={root.resolve()}" for split in ("train", "val", "test")]
    options += [f"train_cfg.val_interval={args.epochs}", *args.options]
    command = [sys.executable, "-m", "mmstreet", "train", args.config, "--epochs", str(args.epochs), "--work-dir", str(root / "run")]
    subprocess.run([*command, "--cfg-options", *options], check=True)
    return root / "run"


def main() -> None:
    """Print one row per seed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="folder of CamVid with images/ and labels/")
    parser.add_argument("--split", default="train")
    parser.add_argument("--config", default="street_camvid")
    parser.add_argument("--checkpoint", type=Path, help="ask this model; default: train on folds")
    parser.add_argument("--folds", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--options", nargs="+", default=[], help="more --cfg-options of the training")
    parser.add_argument("--work", type=Path, default=Path("work_dirs/label_errors"))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--device", help="default: a GPU if there is one")
    args = parser.parse_args()
    args.config = str(find_config(args.config))
    frames = list_files(args.data, args.split)
    images = [image for image, _ in frames]
    clean = [np.asarray(Image.open(label)) for _, label in frames]
    clean = [np.where(labels < 11, labels, IGNORE_INDEX).astype(np.uint8) for labels in clean]
    probs = predict(args.config, args.checkpoint, images, args.device) if args.checkpoint else None
    rows = []
    for seed in args.seeds:
        maps, damages, components = damage_maps(clean, seed=seed, num_classes=11)
        if args.checkpoint is None:
            probs = [None] * len(frames)
            part = np.random.default_rng(seed).permutation(len(frames)) % args.folds
            for fold in range(args.folds):
                checkpoint = train_fold(args.work / f"seed{seed}_fold{fold}", frames, maps, part == fold, args)
                held = np.flatnonzero(part == fold).tolist()
                for i, prob in zip(held, predict(args.config, checkpoint, [images[i] for i in held], args.device)):
                    probs[i] = prob
        found = count_found(rank_areas(probs, maps, damages), damages)
        found["by confidence"] = count_found(rank_areas(probs, maps, damages, plain=True), damages)["found"]
        rows.append([str(seed), components, *found.values()])
        print(f"seed {seed}: {found}", flush=True)
    rows.append(["mean", *np.mean([row[1:] for row in rows], 0).tolist()])
    print(markdown_table(["seed", f"components from {LEAST_PIXELS} px", "damaged", "areas", "found, %", *KINDS, "by confidence, %"], rows))


if __name__ == "__main__":
    main()
