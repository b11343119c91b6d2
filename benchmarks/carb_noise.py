"""Does the balance of regions pay? Plain cross entropy against CARB's single path on masks that are damaged on purpose.

    python benchmarks/carb_noise.py mini|camvid [--seeds 0 1] [--iters N] [--out FOLDER]

Ground truth of some training images is damaged by ``mmstreet.datasets.mask_damage``: small pieces lost, blobs of wrong but present classes,
at least ``--wrong`` of the pixels wrong. Both arms see the same images, masks, network, optimiser, number of iterations and seed; cross
entropy is CARB's loss with a warm-up that never ends. Scores are those of the last iteration on the first 40 undamaged validation images. A run whose
score is written is not repeated; an interrupted one goes on. The table goes to ``<out>/table.md``.

To fit minutes on one core the images are stored at the network's size, 128x64 or 120x88, and the network is half as wide as the configs'.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from mmstreet.datasets.image_files import read_image
from mmstreet.datasets.image_labels import ImageLabels, image_key
from mmstreet.datasets.label_files import read_labels
from mmstreet.datasets.layouts import LAYOUTS, list_pairs
from mmstreet.datasets.mask_damage import DamageRecipe, damage_mask
from mmstreet.engine.launch import build_runner, load_config
from mmstreet.labels import get_table

ROOT = Path(__file__).parents[1]
NEVER = 10**9
NARROW = {
    "model.backbone.base_channels": 24,
    "model.backbone.stem_channels": 24,
    "model.decode_head.in_channels": 96,
    "model.decode_head.channels": 64,
}


@dataclass(frozen=True)
class Suite:
    """A config of the single path, the data that it reads, and the size of its images."""

    config: str
    layout: str
    data: str
    size_wh: tuple[int, int]


SUITES = {
    "mini": Suite("carb_mini_single", "bdd100k_10k", "data/mini", (128, 64)),
    "camvid": Suite("carb_camvid_small_single", "camvid11", "data/camvid11", (120, 88)),
}


def draw_data(suite: Suite, data: Path, out: Path, *, count: int, seed: int, recipe: DamageRecipe) -> dict:
    """Write small images, damaged masks and image-level labels of the first training images; say how wrong the masks are."""
    report = out / "damage.json"
    if report.exists():
        return json.loads(report.read_text())
    layout = LAYOUTS[suite.layout]
    table, rng, labels_of = get_table(layout.table), np.random.default_rng(seed), {}
    counts = np.zeros((len(table), len(table)), np.int64)
    folder = data / layout.image_dir / "train"
    for pair in list_pairs(data, layout, "train")[:count]:
        key = image_key(pair.image_path, folder, layout.image_suffix)
        labels = read_labels(pair.label_path, table, unlisted=layout.unlisted_ids)
        damaged, valid = damage_mask(labels, rng, recipe), labels != 255
        labels_of[key] = tuple(np.unique(labels[valid]).tolist())
        counts += np.bincount(labels[valid].astype(int) * len(table) + damaged[valid], minlength=counts.size).reshape(counts.shape)
        image_path = out / layout.image_dir / "train" / f"{key}{layout.image_suffix}"
        for path, array, how in (
            (image_path, read_image(pair.image_path), cv2.INTER_AREA),
            (out / "masks" / f"{key}.png", damaged, cv2.INTER_NEAREST),
        ):
            path.parent.mkdir(parents=True, exist_ok=True)
            cv2.imwrite(str(path), cv2.resize(array, suite.size_wh, interpolation=how))
    ImageLabels(table.names, labels_of).save(out / "image_labels_train.json")
    right, union = np.diag(counts), counts.sum(0) + counts.sum(1) - np.diag(counts)
    said = {
        "wrong_percent": round(100 * float(1 - right.sum() / counts.sum()), 2),
        "mIoU_of_masks": round(100 * float(np.mean(right[union > 0] / union[union > 0])), 2),
    }
    report.write_text(json.dumps(said))
    return said


def run_one(suite: Suite, data: Path, masks: Path, out: Path, settings: dict) -> dict:
    """Train one arm and return the validation metrics of its last iteration."""
    metrics = out / "metrics.json"
    if not metrics.exists():
        sizes = {"val_dataloader.dataset.pipeline.1.scale": suite.size_wh, "model.data_preprocessor.size": suite.size_wh[::-1]}
        weak = {"data_root": str(masks), "image_labels": "image_labels_train.json", "masks_dir": "masks"}
        options = {
            **NARROW,
            **sizes,
            "train_dataloader.dataset.pipeline.2.scale": suite.size_wh,
            **{f"train_dataloader.dataset.{key}": value for key, value in weak.items()},
            **{f"{split}_dataloader.{key}": 0 for split in ("train", "val", "test") for key in ("num_workers", "persistent_workers")},
            "val_dataloader.dataset.data_root": str(data),
            "val_dataloader.dataset.indices": 40,
            "default_hooks.checkpoint.save_best": None,
            "default_hooks.checkpoint.interval": 100,
            **settings,
        }
        started = time.monotonic()
        runner = build_runner(load_config(ROOT / "configs" / f"{suite.config}.py", work_dir=out, cfg_options=options, resume=True))
        runner.train()
        scores = runner.val_loop.run()
        metrics.write_text(json.dumps({"minutes": round((time.monotonic() - started) / 60, 1), "metrics": scores}))
    return json.loads(metrics.read_text())["metrics"]


def main() -> None:
    """Draw the masks, run both arms for every seed, write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=sorted(SUITES))
    parser.add_argument("--data", type=Path, help="folder of the data set, default: the one that the config names")
    parser.add_argument("--out", type=Path, help="default: work_dirs/carb_noise/<suite>")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--arms", nargs="+", default=["ce", "carb"], choices=["ce", "carb"], help="run only these; no table without both")
    parser.add_argument("--wrong", type=float, default=0.5, help="least share of wrong pixels (default 0.5)")
    parser.add_argument("--images", type=int, default=40, help="training images (default 40)")
    parser.add_argument("--iters", type=int, default=600, help="iterations of eight images (default 600)")
    parser.add_argument("--warmup", type=int, default=200, help="iterations of plain cross entropy in CARB's arm (default 200)")
    args = parser.parse_args()
    suite = SUITES[args.suite]
    data = (args.data or ROOT / suite.data).resolve()
    out = (args.out or ROOT / "work_dirs" / "carb_noise" / args.suite).resolve()
    shared = {"train_cfg.max_iters": args.iters, "train_cfg.val_interval": args.iters + 1}
    rows = []
    for seed in args.seeds:
        masks = out / f"masks_{seed}"
        damage = draw_data(suite, data, masks, count=args.images, seed=seed, recipe=DamageRecipe(wrong_share=args.wrong))
        scores = {}
        for arm in args.arms:
            warmup = {"ce": NEVER, "carb": args.warmup}[arm]
            settings = {**shared, "randomness.seed": seed, "model.decode_head.loss_decode.warmup_iters": warmup}
            scores[arm] = run_one(suite, data, masks, out / f"{arm}_{seed}", settings)
            print(f"{args.suite} seed {seed} {arm}: {scores[arm]['mIoU']:.2f} mIoU", flush=True)
        rows.append((seed, damage, scores))
    if len(args.arms) < 2:
        return
    lines = ["| seed | wrong pixels, % | mIoU of the masks | cross entropy | CARB | gain |", "|---|---|---|---|---|---|"]
    gains = []
    for seed, damage, scores in rows:
        ce, carb = scores["ce"]["mIoU"], scores["carb"]["mIoU"]
        gains.append(carb - ce)
        lines.append(
            f"| {seed} | {damage['wrong_percent']:.1f} | {damage['mIoU_of_masks']:.1f} | {ce:.1f} | {carb:.1f} | {carb - ce:+.1f} |"
        )
    lines.append(f"\nmean gain {statistics.mean(gains):+.2f} mIoU; `python {' '.join(sys.argv)}`, {os.cpu_count()} cores")
    (out / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
