"""``mmstreet convert``: instance labels between BDD100K's Scalabel JSON, its bitmasks and COCO JSON, in any direction.

What came in is what went out plus what is counted as skipped, with examples, on the screen and in OUTPUT.report.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser
from mmstreet.labels import TABLES, get_table


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line; an option without meaning for the chosen formats is refused."""
    parser = CommandParser(
        prog=prog,
        description="Convert instance labels between BDD100K's Scalabel JSON, its bitmasks and COCO JSON. Every label is converted or "
        "counted as skipped, on the screen and in OUTPUT.report.json.",
    )
    parser.add_argument("input", type=Path, help="JSON file, or folder of bitmasks or of JSON files per image")
    parser.add_argument("output", type=Path, help="JSON file, or folder for bitmasks")
    parser.add_argument("--from", dest="source", required=True, choices=("scalabel", "bitmask", "coco"))
    parser.add_argument("--to", dest="target", required=True, choices=("scalabel", "bitmask", "coco"))
    parser.add_argument("--classes", default="bdd100k_ins8", choices=sorted(TABLES), help="class table (default: %(default)s)")
    parser.add_argument("--images", type=Path, help="image folder: checks that every image is there and has the size of its labels")
    parser.add_argument("--bitmasks", type=Path, help="with --from scalabel: folder of bitmasks that give masks, flags and classes")
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="with --from scalabel: size of images without one")
    parser.add_argument("--image-suffix", help="with --from bitmask: suffix of the images (default: .jpg)")
    parser.add_argument("--predictions", type=Path, help="with --from coco: COCO results that take the place of the annotations")
    parser.add_argument("--no-overlaps", action="store_true", help="with --to scalabel: each pixel belongs to one instance, by score")
    parser.add_argument("--workers", type=int, help="processes (default: one per core)")
    parser.add_argument("--strict", action="store_true", help="stop at the first label that cannot be converted")
    args = parser.parse_args(argv)
    owners = {"bitmasks": "scalabel", "size": "scalabel", "image_suffix": "bitmask", "predictions": "coco"}
    for option in (name for name, source in owners.items() if getattr(args, name) and args.source != source):
        parser.error(f"--{option.replace('_', '-')} goes with --from {owners[option]}")
    if args.no_overlaps and args.target != "scalabel":
        parser.error("--no-overlaps goes with --to scalabel; bitmasks have no overlaps anyway")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Convert, print the report, write it beside the output."""
    args = parse_args(argv, prog)
    from mmstreet.formats.bitmask import BitmaskReader, BitmaskWriter
    from mmstreet.formats.coco import CocoReader, CocoWriter
    from mmstreet.formats.convert import convert
    from mmstreet.formats.scalabel import BDD100K_SIZE_HW, ScalabelReader, ScalabelWriter

    table = get_table(args.classes)
    if args.source == "scalabel":
        reader = ScalabelReader(args.input, table, args.images, args.bitmasks, tuple(args.size or BDD100K_SIZE_HW))
    elif args.source == "bitmask":
        reader = BitmaskReader(args.input, table, args.images, args.image_suffix or ".jpg")
    else:
        reader = CocoReader(args.input, table, args.images, args.predictions)
    if args.target == "coco":
        writer = CocoWriter(args.output, table)
    elif args.target == "scalabel":
        writer = ScalabelWriter(args.output, table, overlaps=not args.no_overlaps)
    else:
        writer = BitmaskWriter(args.output)
    report = convert(reader, writer, workers=args.workers, strict=args.strict)
    report.write(args.output.with_suffix(".report.json"))
    print(report)
    return 0
