"""What would a model score that saw the truth, but only as averages over the cells of its output grid?

A head at output stride 8 answers once per 8×8 pixels of its input, and its answer is interpolated. This script replaces the network by the
truth itself, averaged over each cell, and scores the interpolated result at full size: a thin class that is lost here is lost to
the grid, whatever the loss. It is no strict bound (scores are not averages), but it shows the scale.

``python benchmarks/stride_ceiling.py data/camvid11/labels/val --table camvid11 --classes pole signsymbol pedestrian bicyclist``
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from mmstreet.files.confusion_scores import iou_per_class
from mmstreet.labels import IGNORE_INDEX, get_table
from mmstreet.metrics.functional import confusion_matrix

GRIDS = (((180, 240), 8), ((360, 480), 8), ((360, 480), 4), ((360, 480), 2))


def answer_by_cells(labels: torch.Tensor, *, num_classes: int, size_hw: tuple[int, int], stride: int) -> torch.Tensor:
    """Average the truth ``[H, W]`` over the cells of a grid, interpolate to the network's size, then the label's; argmax."""
    valid = labels != IGNORE_INDEX
    truth = F.one_hot(labels.clamp(max=num_classes - 1), num_classes).permute(2, 0, 1)[None].float() * valid  # [1, C, H, W]
    cells = F.adaptive_avg_pool2d(truth, tuple(-(-side // stride) for side in size_hw))
    inner = F.interpolate(cells, size=size_hw, mode="bilinear")
    return F.interpolate(inner, size=labels.shape, mode="bilinear")[0].argmax(0)


def main() -> None:
    """Print one row per grid."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("labels", type=Path, help="folder of label images with train ids")
    parser.add_argument("--table", required=True)
    parser.add_argument("--classes", nargs="+", required=True)
    parser.add_argument("--every", type=int, default=1, help="take every n-th file")
    args = parser.parse_args()
    table = get_table(args.table)
    files = sorted(args.labels.glob("*.png"))[:: args.every]
    if not files:
        parser.error(f"no PNG file in '{args.labels}'")
    print("| input | stride | mIoU | " + " | ".join(args.classes) + " |\n" + "|---" * (3 + len(args.classes)) + "|")
    for size_hw, stride in GRIDS:
        counts = np.zeros((len(table) + 1, len(table) + 1), np.int64)
        for path in files:
            labels = torch.from_numpy(np.array(Image.open(path))).long()
            preds = answer_by_cells(labels, num_classes=len(table), size_hw=size_hw, stride=stride)
            counts += confusion_matrix(labels, preds, num_classes=len(table)).numpy()
        iou = 100 * iou_per_class(counts)
        cells = [f"{np.nanmean(iou):.1f}", *(f"{iou[table.index(name)]:.1f}" for name in args.classes)]
        print(f"| {size_hw[1]}×{size_hw[0]} | {stride} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
