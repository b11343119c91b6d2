"""``mmstreet split``: write list files that split a data set's labelled images into training and validation."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmstreet.cli.arguments import CommandParser, add_layout


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(prog=prog, description="Write train.txt and val.txt, for a dataset's ann_file=.")
    parser.add_argument("root", help="data root, e.g. data/bdd100k")
    parser.add_argument("--out", help="folder for the list files; default: ROOT/splits")
    add_layout(parser)
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same split (default: 0)")
    parser.add_argument("--train-share", type=float, default=0.8, help="share of the images to train on (default: 0.8)")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Write the list files and say where they are."""
    args = parse_args(argv, prog)
    from mmstreet.datasets.splits import write_split

    written = write_split(args.root, layout=args.layout, out=args.out, seed=args.seed, train_share=args.train_share)
    for side, (path, count) in written.items():
        print(f"{side:<6}{count:>6} images  {path}")
    return 0
