"""``mmstreet mini``: write the mini set, generated street scenes in BDD100K's layout."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmstreet.cli.arguments import CommandParser, add_scene


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(prog=prog, description="Write street scenes with semantic, instance and image-level labels.")
    parser.add_argument("out", metavar="OUT", help="folder for the data set, e.g. data/mini")
    parser.add_argument("--train", type=int, default=160, help="training images (default: 160)")
    parser.add_argument("--val", type=int, default=40, help="validation images (default: 40)")
    add_scene(parser)
    parser.add_argument("--workers", type=int, help="processes; default: all cores")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier mini set in OUT")
    parser.add_argument("--contact-sheet", metavar="PATH", help="also write a sheet of images beside their labels")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Write the data set."""
    args = parse_args(argv, prog)
    from mmstreet.files.parallel import available_cores
    from mmstreet.mini.sheet import write_contact_sheet
    from mmstreet.mini.writer import MiniSettings, parse_size, write_mini_dataset

    settings = MiniSettings(train=args.train, val=args.val, seed=args.seed, size_wh=parse_size(args.size))
    workers = available_cores() if args.workers is None else args.workers
    write_mini_dataset(args.out, settings, workers=workers, overwrite=args.overwrite, progress=True)
    print(f"{settings.train} training and {settings.val} validation images of {args.size} in {args.out}")
    if args.contact_sheet:
        print(write_contact_sheet(args.out, args.contact_sheet))
    return 0
