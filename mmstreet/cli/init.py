"""``mmstreet init``: look at a data set's folder and write what it is into one ``data.yaml``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog,
        description="Look at a data set and describe it in one data.yaml: folders, splits, class names, ids, colours, counts, and what is "
        "doubtful. train, test, verify, predict and convert read that file.",
    )
    parser.add_argument(
        "folder", type=Path, metavar="FOLDER", help="data set: a published one, COCO, YOLO, VOC or CVAT, or images and masks"
    )
    parser.add_argument("--out", "-o", type=Path, default=Path("data.yaml"), help="file to write (default: data.yaml in this folder)")
    parser.add_argument("--name", help="name of the data, for the folders of results; default: that of the folder")
    parser.add_argument("--sample", type=int, metavar="N", help="read about N label files of each split; default: all")
    parser.add_argument("--workers", type=int, help="processes; default: all cores")
    parser.add_argument("--overwrite", action="store_true", help="replace the file that is there")
    args = parser.parse_args(argv)
    if args.out.suffix.lower() not in (".yaml", ".yml"):
        parser.error(f"--out '{args.out}' must end in .yaml")
    if args.sample is not None and args.sample < 1:
        parser.error("--sample must be 1 or more")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return its exit code."""
    args = parse_args(argv, prog)
    from mmstreet.datasets.data_file import read_data_file
    from mmstreet.datasets.data_text import write_data_file
    from mmstreet.datasets.recognise import nothing_found, recognise_maps
    from mmstreet.datasets.survey import survey

    if not args.folder.is_dir():
        raise FileNotFoundError(f"'{args.folder}' is no folder; give the folder of a data set, unpacked")
    if args.out.exists() and not args.overwrite:
        raise FileExistsError(f"'{args.out}' is there already; add --overwrite to replace it, or choose another --out")
    seen = recognise_maps(args.folder)
    if seen is None:
        raise nothing_found(args.folder)
    found = survey(args.folder, seen, out=args.out, name=args.name, workers=args.workers, sample=args.sample)
    written = write_data_file(found, args.out)
    data = read_data_file(args.out)
    print(f"{args.folder}: {seen.title}")
    for split, counts in found.content["counts"].items():
        print(f"  {split}: {', '.join(f'{value} {key}' for key, value in counts.items() if key in ('images', 'labels', 'read'))}")
    print(f"  {len(data.table)} classes: {', '.join(data.table.names)}")
    for doubt in found.suspicions:
        print(f"  look: {doubt}")
    print("\n".join(str(path) for path in written))
    return 0
