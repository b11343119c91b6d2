"""Does the balance of regions pay? Plain cross entropy against it, without CLIP, on masks that are damaged on purpose.

    python -m benchmarks.carb_noise mini|camvid|camvid_pretrained [--seeds 0 1] [--iters N] [--out FOLDER] [--device cuda]

Ground truth of some training images is damaged by ``benchmarks.mask_damage``: small pieces lost, blobs of wrong but present
classes, at least ``--wrong`` of the pixels wrong. Both arms see the same images, masks, batches, network, optimiser and iterations, and
share the warm-up, which is plain cross entropy in both; then one goes on with it and the other balances regions. Scores are mIoU in per
cent on 40 undamaged validation images, for the last iteration. A seed whose scores are written is not repeated. The table goes to
``<out>/table.md``.

To fit a minute per seed on one core, images stay in memory at 128x64 or 120x88, the network is half as wide as in the config, the loop is
plain PyTorch; ``mmstreet train`` with the same config does the same in more time. ``camvid_pretrained`` trains the network of
``street_camvid`` from its ImageNet weights at 240x180: with real features, for a GPU or half an hour per seed.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.registry import init_default_scope
from mmseg.registry import MODELS
from torch.nn import functional as F

from benchmarks.mask_damage import DamageRecipe, damage_mask
from mmstreet.datasets.layouts import LAYOUTS
from mmstreet.datasets.pairs import list_pairs
from mmstreet.files.images import read_image
from mmstreet.formats.label_files import read_labels
from mmstreet.labels import get_table

ROOT = Path(__file__).parents[1]
_NARROW = {
    "model.backbone.base_channels": 24,
    "model.backbone.stem_channels": 24,
    "model.decode_head.in_channels": 96,
    "model.decode_head.channels": 64,
}
BATCH = 8


@dataclass(frozen=True)
class Suite:
    """A config without CLIP, its data, the size of its images, what is changed in it, the backbone's share of the rate, mean and scale."""

    config: str
    layout: str
    data: str
    size_wh: tuple[int, int]
    changes: dict
    backbone_rate: float = 1.0
    normalisation: tuple[float, float] = (110.0, 60.0)
    rgb: bool = False


_PRETRAINED = {"model.decode_head.loss_decode": {"_delete_": True, "type": "mmstreet.CARBLoss"}}
SUITES = {
    "mini": Suite("carb_mini_single", "bdd100k_10k", "data/mini", (128, 64), _NARROW),
    "camvid": Suite("carb_camvid_small_single", "camvid11", "data/camvid11", (120, 88), _NARROW),
    "camvid_pretrained": Suite("street_camvid", "camvid11", "data/camvid11", (240, 180), _PRETRAINED, 0.3, (127.0, 128.0), rgb=True),
}


@dataclass
class Images:
    """Images in memory: normalised float ``[N, 3, H, W]``, labels int64 ``[N, H, W]``, classes shown bool ``[N, C]``."""

    images: torch.Tensor
    labels: torch.Tensor
    present: torch.Tensor

    def to(self, device: str) -> Images:
        """Move all of it to a device."""
        return Images(self.images.to(device), self.labels.to(device), self.present.to(device))


def read(suite: Suite, data: Path, split: str, count: int, damage=None) -> tuple[Images, dict]:
    """Read images spread evenly over a split at the suite's size; ``damage`` makes true labels wrong. Also say how wrong they are."""
    layout = LAYOUTS[suite.layout]
    table = get_table(layout.table)
    images, maps, present = [], [], torch.zeros(count, len(table), dtype=torch.bool)
    counts = np.zeros((len(table), len(table)), np.int64)
    pairs = list_pairs(data, layout, split)
    for i, place in enumerate(np.linspace(0, len(pairs) - 1, min(count, len(pairs)), dtype=int)):
        pair = pairs[place]
        true = read_labels(pair.label_path, table, unlisted=layout.unlisted)
        labels, valid = (true if damage is None else damage(true)), true != 255
        present[i, np.unique(true[valid]).astype(int)] = True
        counts += np.bincount(true[valid].astype(int) * len(table) + labels[valid], minlength=counts.size).reshape(counts.shape)
        image = read_image(pair.image_path)[..., :: -1 if suite.rgb else 1]
        images.append(cv2.resize(np.ascontiguousarray(image), suite.size_wh, interpolation=cv2.INTER_AREA))
        maps.append(cv2.resize(labels, suite.size_wh, interpolation=cv2.INTER_NEAREST))
    pixels = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float()
    said = {"wrong_percent": 100 * float(1 - np.trace(counts) / counts.sum()), "mIoU_of_masks": mean_iou(counts)}
    mean, std = suite.normalisation
    return Images((pixels - mean) / std, torch.from_numpy(np.stack(maps)).long(), present[: len(images)]), said


def mean_iou(confusion: np.ndarray) -> float:
    """Mean IoU in per cent over the classes that the truth has."""
    right, union = np.diag(confusion), confusion.sum(0) + confusion.sum(1) - np.diag(confusion)
    return 100 * float(np.mean((right / np.maximum(union, 1))[confusion.sum(1) > 0]))


def score(model, val: Images) -> float:
    """Mean IoU of a model on images in memory."""
    model.eval()
    size = val.present.shape[1]
    confusion = np.zeros((size, size), np.int64)
    with torch.no_grad():
        for i in range(0, len(val.images), BATCH):
            preds, labels = logits_of(model, val.images[i : i + BATCH], val.labels.shape[1:]).argmax(1), val.labels[i : i + BATCH]
            valid = labels != 255
            confusion += torch.bincount(labels[valid] * size + preds[valid], minlength=size * size).view(size, size).cpu().numpy()
    return mean_iou(confusion)


def logits_of(model, images: torch.Tensor, size_hw) -> torch.Tensor:
    """Scores at the size of the labels."""
    return F.interpolate(model.decode_head(model.extract_feat(images)), tuple(size_hw), mode="bilinear", align_corners=False)


def train(model, optimizer, data: Images, val: Images, *, start: int, stop: int, total: int, seed: int, balanced: bool) -> list[dict]:
    """Train from one iteration to another, and score the model at every eighth of the whole."""
    loss_decode, history = model.decode_head.loss_decode, []
    loss_decode.iterations.fill_(start)
    for step in range(start, stop):
        model.train()
        rng = torch.Generator().manual_seed(seed * 1_000_003 + step)
        for group in optimizer.param_groups:
            group["lr"] = group["share"] * (1e-4 + 9e-4 * (1 - step / total) ** 0.9)
        chosen = torch.randint(len(data.images), (BATCH,), generator=rng).to(data.images.device)
        images, labels = data.images[chosen], data.labels[chosen]
        if torch.rand((), generator=rng) < 0.5:
            images, labels = images.flip(3), labels.flip(2)
        logits = logits_of(model, images, labels.shape[1:])
        if balanced:
            loss = loss_decode(logits, labels, present=data.present[chosen])
        else:
            loss = F.cross_entropy(logits, labels, ignore_index=255)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if (step + 1) % (total // 8) == 0 or step + 1 == stop:
            measured = {key: round(float(value), 4) for key, value in loss_decode.log_vars.items()} if balanced else {}
            history.append({"iteration": step + 1, "mIoU": round(score(model, val), 2), **measured})
    return history


def build(suite: Suite, args: argparse.Namespace, seed: int) -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    """Build the suite's network with the seed's weights, or the pretrained ones, and its optimiser."""
    cfg = Config.fromfile(ROOT / "configs" / f"{suite.config}.py")
    cfg.merge_from_dict(suite.changes)
    cfg.model.decode_head.loss_decode.warmup_iters = args.warmup
    init_default_scope("mmseg")
    MMLogger.get_instance("mmengine", log_level="ERROR")
    torch.manual_seed(seed)
    model = MODELS.build(cfg.model)
    model.init_weights()
    model.to(args.device)
    groups = [
        dict(params=list(model.backbone.parameters()), share=suite.backbone_rate),
        dict(params=[p for name, p in model.named_parameters() if not name.startswith("backbone.")], share=1.0),
    ]
    return model, torch.optim.AdamW(groups, lr=1e-3, weight_decay=1e-4)


def run_seed(suite: Suite, data: Path, args: argparse.Namespace, seed: int, out: Path) -> dict:
    """Train both arms of one seed, or read what was written."""
    path = out / f"seed_{seed}.json"
    if path.exists():
        return json.loads(path.read_text())
    started = time.process_time()
    rng, recipe = np.random.default_rng(seed), DamageRecipe(wrong_share=args.wrong, radius_share=tuple(args.radius))
    train_set, damage = read(suite, data, "train", args.images, lambda labels: damage_mask(labels, rng, recipe))
    val_set, _ = read(suite, data, "val", 40)
    model, optimizer = build(suite, args, seed)
    train_set, val_set = train_set.to(args.device), val_set.to(args.device)
    settings = dict(total=args.iters, seed=seed)
    warm = train(model, optimizer, train_set, val_set, start=0, stop=args.warmup, balanced=False, **settings)
    kept = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    arms = {}
    for arm in ("ce", "carb"):
        model.load_state_dict(kept[0])
        optimizer.load_state_dict(copy.deepcopy(kept[1]))
        arms[arm] = train(model, optimizer, train_set, val_set, start=args.warmup, stop=args.iters, balanced=arm == "carb", **settings)
    result = {"seed": seed, **damage, "warmup": warm, **arms, "cpu_seconds": round(time.process_time() - started)}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(result, indent=1))
    return result


def main() -> None:
    """Run all seeds and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=sorted(SUITES))
    parser.add_argument("--data", type=Path, help="folder of the data set, default: the one that the config names")
    parser.add_argument("--out", type=Path, help="default: work_dirs/carb_noise/<suite>")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--wrong", type=float, default=0.4, help="least share of wrong pixels (default 0.4)")
    parser.add_argument(
        "--radius", type=float, nargs=2, default=[0.03, 0.12], help="half-axes of the blobs, shares of the height (default 0.03 0.12)"
    )
    parser.add_argument("--images", type=int, default=80, help="training images (default 80)")
    parser.add_argument("--iters", type=int, default=600, help="iterations of eight images (default 600)")
    parser.add_argument("--warmup", type=int, default=200, help="iterations of plain cross entropy in both arms (default 200)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    suite = SUITES[args.suite]
    data = args.data or ROOT / suite.data
    out = args.out or ROOT / "work_dirs" / "carb_noise" / args.suite
    lines = ["| seed | wrong pixels, % | mIoU of the masks | after the warm-up | cross entropy | CARB | gain |", "|---" * 7 + "|"]
    gains = []
    for seed in args.seeds:
        row = run_seed(suite, data, args, seed, out)
        ce, carb, warm = (row[arm][-1]["mIoU"] for arm in ("ce", "carb", "warmup"))
        gains.append(carb - ce)
        cells = [
            f"{row['wrong_percent']:.1f}",
            f"{row['mIoU_of_masks']:.1f}",
            f"{warm:.1f}",
            f"{ce:.1f}",
            f"{carb:.1f}",
            f"{carb - ce:+.1f}",
        ]
        lines.append(f"| {seed} | {' | '.join(cells)} |")
    lines.append(f"\nmean gain {statistics.mean(gains):+.2f} mIoU; `python -m benchmarks.carb_noise {' '.join(sys.argv[1:])}`")
    (out / "table.md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
