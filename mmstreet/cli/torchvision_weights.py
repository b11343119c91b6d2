"""``mmstreet torchvision-weights``: torchvision's published weights as a checkpoint with mmstreet's names."""

from __future__ import annotations

import argparse
import io
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser
from mmstreet.engine.errors import LaunchError
from mmstreet.labels import TABLES


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog,
        description="Write torchvision's published weights as a checkpoint with mmstreet's names, for machines without network or other "
        "trainers. Configs need no such file: their load_from names the published URL, which is fetched and renamed when training starts.",
    )
    parser.add_argument("name", metavar="NAME", help="torchvision's model name, e.g. deeplabv3_resnet50")
    parser.add_argument("--source", type=Path, help="the published file, if it is here already; default: download it")
    parser.add_argument(
        "--classes",
        choices=sorted(TABLES),
        help="for a Mask R-CNN: the classes of this table instead of COCO's 80, each with the weights of its COCO class (a rider's are a "
        "person's), so that no layer starts from random weights; without it the layers that name a class do so in a model of other classes",
    )
    parser.add_argument("--out", type=Path, help="default: checkpoints/NAME.pth")
    args = parser.parse_args(argv)
    if args.source and not args.source.is_file():
        parser.error(f"--source '{args.source}' does not exist; give the path of a downloaded file, or leave it out to download it")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Fetch or read the weights, rename every tensor, write the checkpoint."""
    args = parse_args(argv, prog)
    import torch

    from mmstreet.engine.pretrained import fetch_weights
    from mmstreet.engine.safe_load import read_checkpoint
    from mmstreet.files.atomic import write_bytes
    from mmstreet.models.coco_classes import pick_classes
    from mmstreet.models.torchvision_weights import PUBLISHED, find_layout, list_left_out, rename_tensors

    if args.name not in PUBLISHED:
        raise LaunchError(f"'{args.name}' is none of the models whose names are known: {', '.join(PUBLISHED)}")
    source = args.source or fetch_weights(PUBLISHED[args.name])
    state_dict = read_checkpoint(source)
    layout = find_layout(state_dict) if isinstance(state_dict, dict) else None
    if layout is None:
        raise LaunchError(f"'{source}' has none of the shapes that torchvision publishes; expected the file behind {PUBLISHED[args.name]}")
    if args.classes and layout.name != "Mask R-CNN":
        raise LaunchError(f"--classes is for maskrcnn_resnet50_fpn, but '{source}' is a {layout.name}; leave it out")
    renamed = rename_tensors(state_dict, layout)
    if args.classes:
        renamed = pick_classes(renamed, TABLES[args.classes].names)
    out = args.out or Path("checkpoints") / f"{args.name}.pth"
    buffer = io.BytesIO()  # torch's own writer ends the process when the disk is full
    torch.save({"state_dict": renamed, "meta": {"torchvision": PUBLISHED[args.name]}}, buffer)
    write_bytes(buffer.getvalue(), out)
    for what in list_left_out(state_dict, layout):
        print(f"left out: {what}")
    print(f"{layout.name}: {len(renamed)} of {len(state_dict)} tensors renamed; use it with --cfg-options load_from={out}")
    return 0
