"""At what size should frames go into the network? The model of the package on CamVid's validation frames, enlarged and not.

    python -m benchmarks.input_size --data data/camvid11 [--every 2]

Sizes are exact: nothing is padded but in the row that says so. Labels keep their own size; scores are resized to it. The model is the file
of the package, run by onnxruntime, one thread.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

os.environ["OMP_NUM_THREADS"] = "1"

from benchmarks.shipped_model import ROOT, iou, score
from benchmarks.thin_variants import THIN
from mmstreet.files.config_files import SHIPPED_MODEL
from mmstreet.files.tables import markdown_table
from mmstreet.predict.exported import load_exported

SIZES_WH = ((480, 360), (480, 352), (512, 384), (640, 480), (720, 540), (768, 576), (960, 720))


def main() -> None:
    """Score every size and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=ROOT / "data" / "camvid11", help="CamVid's folder, default: data/camvid11")
    parser.add_argument("--every", type=int, default=2, help="take every so many frames (default 2)")
    args = parser.parse_args()
    model = load_exported(SHIPPED_MODEL, device="cpu")
    settings, rows = dict(model.metadata), []
    for (width, height), divisor in [(SIZES_WH[0], 32), *((size, None) for size in SIZES_WH)]:
        model.metadata = settings | {
            "resize": dict(settings["resize"], scale_wh=[width, height], keep_ratio=False),
            "size_divisor": divisor,
        }
        classes = iou(score(model, args.data, every=args.every)[0].sum(0))
        thin = classes[list(THIN.values())]
        name = f"{width}×{height}" + (f", padded to multiples of {divisor}" if divisor else "")
        rows.append([name, *(f"{value:.1f}" for value in (classes.mean(), thin.mean(), classes[THIN["pole"]]))])
        print(rows[-1], flush=True)
    print(markdown_table(["input", "mIoU", "thin four", "pole"], rows))


if __name__ == "__main__":
    main()
