"""``mmstreet hub-weights``: a published model of transformers as a checkpoint, for test, calibrate, export and training."""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser
from mmstreet.labels import TABLES


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog,
        description="Write a published segmentation model as a checkpoint with mmstreet's names and the classes of a table. Prediction and "
        "training need no such file; mmstreet test, calibrate and export do.",
    )
    parser.add_argument("model", metavar="NAME", help="name on the Hugging Face hub, or a folder in transformers' format")
    parser.add_argument("--classes", choices=sorted(TABLES), default="bdd100k_sem19", help="class table (default: %(default)s)")
    parser.add_argument("--out", type=Path, help="default: checkpoints/NAME.pth")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Load the model, write the checkpoint, say which config belongs to it."""
    args = parse_args(argv, prog)
    import torch

    from mmstreet.files.atomic import check_target, write_bytes
    from mmstreet.predict.hub_model import load_hub_model

    out = args.out or Path("checkpoints") / f"{Path(args.model).name}.pth"
    check_target(out)
    model = load_hub_model(args.model, device="cpu", cfg_options={"model.classes": args.classes})
    meta = {"dataset_meta": TABLES[args.classes].metainfo, "published": args.model}
    buffer = io.BytesIO()  # torch's own writer ends the process when the disk is full
    torch.save({"state_dict": model.model.state_dict(), "meta": meta}, buffer)
    write_bytes(buffer.getvalue(), out)
    print(f"model: {model.about}")
    if model.model.decode_head.unknown:
        print(f"note: it has no class for {', '.join(model.model.decode_head.unknown)}")
    print(f"{out}: use it as CHECKPOINT with segformer_bdd --cfg-options model.model={args.model} model.head=keep")
    return 0
