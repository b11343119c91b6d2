"""``mmstreet inspect``: what an instance segmentor gets, in pictures and numbers."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser
from mmstreet.files.split_names import SPLITS


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog,
        description="Show what an instance segmentor gets. Per image: the annotated picture, the letterboxed one, masks at 56x56, "
        "anchors per level, proposals, sampled regions. For the split: instances per image, class and size.",
    )
    parser.add_argument("config", help="config of an instance segmentor: a file, or a name such as mask_rcnn_bdd")
    parser.add_argument("--split", choices=SPLITS, default="train")
    parser.add_argument("--images", nargs="+", default=[], metavar="NAME", help="file names; default: some, evenly spaced")
    parser.add_argument("--count", type=int, default=2, help="how many images without --images (default: 2)")
    parser.add_argument("--out", type=Path, help="default: work_dirs/inspect/<config name>")
    parser.add_argument("--checkpoint", help="take the proposals of this model; default: boxes at random, most of them around objects")
    parser.add_argument("--proposals", type=int, default=2000, help="per image (default: 2000)")
    parser.add_argument("--regions", type=int, default=128, help="sampled among them (default: 128)")
    parser.add_argument("--positive-share", type=float, default=0.33, help="greatest share of positive ones in the sample (default: 0.33)")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args(argv)
    if min(args.count, args.proposals, args.regions) < 1 or not 0 <= args.positive_share <= 1:
        parser.error("--count, --proposals and --regions must be at least 1, and --positive-share within 0 and 1")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Load the config, and the model if there is one, and write pictures and ``inspection.json``."""
    args = parse_args(argv, prog)
    from mmengine.registry import MODELS, init_default_scope
    from mmengine.runner import load_checkpoint

    from mmstreet.engine.checkpoints import find_checkpoint
    from mmstreet.engine.launch import load_config
    from mmstreet.engine.safe_load import safe_loading
    from mmstreet.evaluation.instance_inspection import inspect_instances
    from mmstreet.report.instance_pictures import render_inspection

    out = args.out or Path("work_dirs/inspect") / Path(args.config).stem
    model = None
    cfg = load_config(args.config)
    if args.checkpoint:
        checkpoint = find_checkpoint(args.checkpoint)
        init_default_scope(cfg.default_scope)
        model = MODELS.build(cfg.model).eval()
        with safe_loading():
            load_checkpoint(model, str(checkpoint), map_location="cpu")
    settings = {"proposals": args.proposals, "regions": args.regions, "positive_share": args.positive_share, "seed": args.seed}
    report = inspect_instances(cfg, out=out, split=args.split, names=args.images, count=args.count, model=model, **settings)
    render_inspection(out)
    for row in report["set"]["classes"]:
        print(f"{row['name']:<14}{row['instances']:>8} instances in {row['images']:>6} images")
    print(f"{report['set']['per_image']['mean']:.2f} instances per image; pictures and inspection.json: {out}")
    return 0
