"""Write the model that comes with the package, and measure exactly the file that is written.

    python -m benchmarks.shipped_model work_dirs/street_camvid --data data/camvid11

exports the checkpoint with float16 weights to ``mmstreet/shipped/street.onnx``, labels CamVid's validation frames with that file alone
(onnxruntime, one thread, as ``mmstreet predict`` does), and writes what was measured into ``street.json``: mIoU with a 95 % interval from
a bootstrap over the frames, IoU per class, equal labels beside PyTorch, size, processor time per frame.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

import numpy as np
import torch
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.thin_variants import THIN
from mmstreet.datasets.layouts import LAYOUTS
from mmstreet.datasets.pairs import list_pairs
from mmstreet.evaluation.run_record import describe_machine
from mmstreet.files.atomic import write_text
from mmstreet.files.config_files import SHIPPED_MODEL
from mmstreet.files.images import read_image
from mmstreet.formats.label_files import read_labels
from mmstreet.labels import get_table
from mmstreet.predict.export import export_model
from mmstreet.predict.exported import load_exported
from mmstreet.predict.inference import load_trained

ROOT = Path(__file__).parents[1]
CONFIG = "street_camvid"
LICENCE = "weights for research only, as CamVid's terms ask; ImageNet weights they start from: Apache-2.0"
NOT_FOR = "driving, steering, warning or any other use in which an error can harm someone; commercial products"


def score(model, data: Path, *, every: int = 1) -> tuple[np.ndarray, list[float]]:
    """Count confusions per frame, int64 ``[N, C, C]``, and the processor seconds of each frame from array to labels."""
    layout = LAYOUTS["camvid11"]
    table = get_table(layout.table)
    counts, seconds = [], []
    for pair in list_pairs(data, layout, "val")[::every]:
        image = read_image(pair.image_path)[..., ::-1]  # RGB
        start = time.process_time()
        (labels,) = model.predict_labels([image])
        seconds.append(time.process_time() - start)
        truth = read_labels(pair.label_path, table, unlisted=layout.unlisted)
        valid = truth != 255
        pairs = truth[valid].astype(int) * len(table) + labels[valid]
        counts.append(np.bincount(pairs, minlength=len(table) ** 2).reshape(len(table), len(table)))
    return np.stack(counts), seconds


def iou(confusion: np.ndarray) -> np.ndarray:
    """IoU per class in per cent, ``[..., C]``, of confusions ``[..., C, C]``."""
    right = np.diagonal(confusion, axis1=-2, axis2=-1)
    return 100 * right / (confusion.sum(-1) + confusion.sum(-2) - right)


def multiply_adds(model: torch.nn.Module, size_hw: tuple[int, int]) -> int:
    """Count the multiply-adds of convolutions and matrix products for one image."""
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model.decode_head(model.extract_feat(torch.zeros(1, 3, *size_hw)))
    return counter.get_total_flops() // 2


def main() -> None:
    """Export, measure, write the card."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", help="checkpoint or work folder of street_camvid")
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "camvid11", help="CamVid's folder, default: data/camvid11")
    parser.add_argument("--trained", default="", help="where and how long it was trained, for the card")
    args = parser.parse_args()
    torch.set_num_threads(1)
    model = load_trained(CONFIG, args.checkpoint, device="cpu")
    paths = [pair.image_path for pair in list_pairs(args.data, LAYOUTS["camvid11"], "val")]
    SHIPPED_MODEL.parent.mkdir(exist_ok=True)
    parity = export_model(model, [read_image(path)[..., ::-1] for path in paths[::25][:4]], SHIPPED_MODEL, precision="half")
    exported = load_exported(SHIPPED_MODEL, device="cpu")
    counts, seconds = score(exported, args.data)
    rng = np.random.default_rng(0)
    resampled = [iou(counts[rng.integers(len(counts), size=len(counts))].sum(0)).mean() for _ in range(1000)]
    classes = iou(counts.sum(0))
    card = {
        "name": "street",
        "architecture": "EfficientNet-Lite 0 with a ladder to stride 4 (config street_camvid)",
        "trained_on": "CamVid, 367 training frames of 480x360 (Brostow, Fauqueur, Cipolla 2009), from ImageNet weights",
        "training": args.trained,
        "licence": LICENCE,
        "not_for": NOT_FOR,
        "classes": list(exported.classes),
        "palette": [list(map(int, row)) for row in exported.palette],
        "mean": exported.metadata["mean"],
        "std": exported.metadata["std"],
        "multiply_adds": multiply_adds(model.model, (576, 768)),
        "parameters": sum(value.numel() for value in model.model.parameters()),
        "scores": {"CamVid val mIoU": round(float(classes.mean()), 2)},
        "interval_95": [round(float(x), 2) for x in np.percentile(resampled, (2.5, 97.5))],
        "thin_classes": round(statistics.mean(float(classes[i]) for i in THIN.values()), 2),
        "pixel_accuracy": round(float(100 * np.diagonal(counts.sum(0)).sum() / counts.sum()), 2),
        "iou_per_class": {name: round(float(value), 2) for name, value in zip(exported.classes, classes, strict=True)},
        "frames": len(counts),
        "labels_equal_to_pytorch": round(100 * parity.labels_equal, 4),
        "bytes": SHIPPED_MODEL.stat().st_size,
        "seconds_per_frame_one_core": round(statistics.median(seconds), 3),
        "machine": describe_machine(),
    }
    write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", SHIPPED_MODEL.with_suffix(".json"))
    print(json.dumps(card, indent=1, ensure_ascii=False))


if __name__ == "__main__":
    main()
