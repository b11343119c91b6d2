"""How far do image-level labels get without CLIP? Tags, class activation, pseudo-masks, CARB: CamVid with ImageNet weights.

    python -m benchmarks.image_tags --data data/camvid11 [--tiles 1 2 4 8] [--seeds 0 1 2] [--device cuda]

1. A classifier learns which classes an image shows: the backbone of ``street_camvid``, a 1×1 convolution on its features of stride 16, and
   the mean over the image (class activation: Zhou et al., CVPR 2016). ``--tiles N`` gives the tags of each cell of an N×N grid in place of
   those of the whole image, and takes the mean over the cell: weak labels still, for street frames whose tags hardly differ.
2. Activations of the classes that a cell shows, each divided by its highest value in the image, give the pseudo-mask.
3. The network of ``street_camvid`` learns from these masks, with cross entropy and with CARB, as in ``benchmarks.carb_noise``.

Scores are mIoU in per cent on 40 validation images. The row ``masks`` learns from the true masks in the same time. The table goes to
``<out>/table.md``; a run whose scores are written is not repeated.
"""

from __future__ import annotations

import argparse
import copy
import json
import os
import statistics
import sys
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from benchmarks.carb_noise import BATCH, ROOT, SUITES, Images, build, mean_iou, read, train
from mmstreet.models.efficientnet_lite import LEVEL_CHANNELS, EfficientNetLite

SUITE = SUITES["camvid_pretrained"]


class Classifier(nn.Module):
    """Class activation maps ``[B, C, h, w]`` at stride 16 of normalised images."""

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.backbone = EfficientNetLite(depth=0, output_stride=16)
        self.backbone.init_weights()
        self.score = nn.Conv2d(LEVEL_CHANNELS[0][-1], num_classes, 1)

    def forward(self, images: Tensor) -> Tensor:
        return self.score(self.backbone(images)[-1])


def tags_of(labels: Tensor, num_classes: int, tiles: int) -> Tensor:
    """Which classes each cell of a grid shows, bool ``[B, C, tiles, tiles]``, from labels ``[B, H, W]``."""
    planes = F.one_hot(labels.clamp(max=num_classes), num_classes + 1)[..., :num_classes].permute(0, 3, 1, 2)
    return F.adaptive_max_pool2d(planes.float(), tiles) > 0


def train_classifier(data: Images, tags: Tensor, *, iters: int, seed: int, device: str) -> Classifier:
    """Fit a classifier to tags ``[N, C, t, t]`` by binary cross entropy."""
    torch.manual_seed(seed)
    model = Classifier(tags.shape[1]).to(device)
    groups = [
        dict(params=list(model.backbone.parameters()), lr=1e-3 * SUITE.backbone_rate),
        dict(params=list(model.score.parameters()), lr=1e-3),
    ]
    optimizer = torch.optim.AdamW(groups, weight_decay=1e-4)
    rng = torch.Generator().manual_seed(seed)
    model.train()
    for _ in range(iters):
        chosen = torch.randint(len(data.images), (BATCH,), generator=rng).to(device)
        images, target = data.images[chosen], tags[chosen]
        if torch.rand((), generator=rng) < 0.5:
            images, target = images.flip(3), target.flip(3)
        loss = F.binary_cross_entropy_with_logits(F.adaptive_avg_pool2d(model(images), target.shape[2:]), target.float())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return model.eval()


@torch.no_grad()
def pseudo_masks(model: Classifier, data: Images, tags: Tensor) -> Tensor:
    """Label every pixel with the shown class of the strongest relative activation, int64 ``[N, H, W]``."""
    masks = []
    for start in range(0, len(data.images), BATCH):
        size_hw = data.images.shape[2:]
        maps = F.interpolate(model(data.images[start : start + BATCH]), size_hw, mode="bilinear", align_corners=False)
        shown = F.interpolate(tags[start : start + BATCH].float(), size_hw, mode="nearest") > 0
        lowest, highest = maps.amin((2, 3), keepdim=True), maps.amax((2, 3), keepdim=True)
        relative = (maps - lowest) / (highest - lowest).clamp(min=1e-6)
        masks.append(relative.masked_fill(~shown, -1).argmax(1))
    return torch.cat(masks)


def run(data: Images, val: Images, args: argparse.Namespace, *, tiles: int, seed: int) -> dict:
    """Train one pair of arms; with 0 tiles, on the true masks."""
    num_classes = data.present.shape[1]
    masks, tags = data.labels, data.present
    said = {}
    if tiles:
        tags = tags_of(data.labels, num_classes, tiles)
        masks = pseudo_masks(train_classifier(data, tags, iters=args.classifier_iters, seed=seed, device=args.device), data, tags)
        valid = data.labels != 255
        pairs = data.labels[valid] * num_classes + masks[valid]
        confusion = torch.bincount(pairs, minlength=num_classes**2).view(num_classes, num_classes).cpu().numpy()
        said = {"masks_right": 100 * float(np.trace(confusion) / confusion.sum()), "masks_mIoU": mean_iou(confusion)}
    weak = Images(data.images, masks, data.present)
    model, optimizer = build(SUITE, args, seed)
    settings = dict(total=args.iters, seed=seed)
    warm = train(model, optimizer, weak, val, start=0, stop=args.warmup, balanced=False, **settings)
    kept = copy.deepcopy((model.state_dict(), optimizer.state_dict()))
    scores = {"warmup": warm[-1]["mIoU"]}
    for arm in ("ce", "carb"):
        model.load_state_dict(kept[0])
        optimizer.load_state_dict(copy.deepcopy(kept[1]))
        history = train(model, optimizer, weak, val, start=args.warmup, stop=args.iters, balanced=arm == "carb", **settings)
        scores[arm] = history[-1]["mIoU"]
    return {"tiles": tiles, "seed": seed, **said, **scores}


def make_table(rows: list[dict]) -> str:
    """Lay out mean ± standard deviation over the seeds."""
    keys = {"right, % of pixels": "masks_right", "mIoU of the masks": "masks_mIoU", "cross entropy": "ce", "CARB": "carb"}
    lines = [f"| labels | seeds | {' | '.join(keys)} |", "|---" * (2 + len(keys)) + "|"]
    for tiles in dict.fromkeys(row["tiles"] for row in rows):
        same = [row for row in rows if row["tiles"] == tiles]
        cells = []
        for key in keys.values():
            values = [row[key] for row in same if key in row]
            spread = f" ± {statistics.stdev(values):.1f}" if len(values) > 1 else ""
            cells.append(f"{statistics.mean(values):.1f}{spread}" if values else "")
        lines.append(f"| {f'tags of {tiles}×{tiles} cells' if tiles else 'masks'} | {len(same)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    """Run all grids and seeds and write the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / SUITE.data, help=f"default: {SUITE.data}")
    parser.add_argument("--out", type=Path, default=ROOT / "work_dirs" / "image_tags", help="default: work_dirs/image_tags")
    parser.add_argument("--tiles", type=int, nargs="+", default=[1, 2, 4, 8], help="cells a side that have tags (default 1 2 4 8)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--images", type=int, default=367, help="training images (default 367, all)")
    parser.add_argument("--classifier-iters", type=int, default=400, help="iterations of the classifier (default 400)")
    parser.add_argument("--iters", type=int, default=600, help="iterations of the network (default 600)")
    parser.add_argument("--warmup", type=int, default=320, help="iterations of plain cross entropy in both arms (default 320)")
    parser.add_argument("--device", default="cpu", help="cpu or cuda (default cpu)")
    args = parser.parse_args()
    torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS", 1)))
    args.out.mkdir(parents=True, exist_ok=True)
    data, val = (read(SUITE, args.data, split, count)[0].to(args.device) for split, count in (("train", args.images), ("val", 40)))
    rows = []
    for tiles in (*args.tiles, 0):
        for seed in args.seeds:
            path = args.out / f"tiles_{tiles}_seed_{seed}.json"
            if not path.exists():
                path.write_text(json.dumps(run(data, val, args, tiles=tiles, seed=seed)))
            rows.append(json.loads(path.read_text()))
    text = f"{make_table(rows)}\n\n`python -m benchmarks.image_tags {' '.join(sys.argv[1:])}`\n"
    (args.out / "table.md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
