"""``mmstreet image-labels``: which classes each image shows, from masks or from a published array file; and statistics of them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser, add_layout
from mmstreet.labels import TABLES, get_table


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(prog=prog, description="Write image_labels.json, which classes each image shows, or describe such files.")
    actions = parser.add_subparsers(dest="action", required=True)
    masks = actions.add_parser("masks", help="write the file from the label maps of a data root")
    masks.add_argument("input", type=Path, metavar="DATA_ROOT")
    masks.add_argument("--split", default="train", help="folder of the split (default: train)")
    add_layout(masks)
    masks.add_argument("--min-pixels", type=int, default=1, help="pixels that a class needs to count as shown (default: 1)")
    masks.add_argument("--workers", type=int, help="processes; default: all cores")
    arrays = actions.add_parser("npy", help="write the file from a published array file; only arrays of numbers are read, nothing is run")
    arrays.add_argument("input", type=Path, metavar="FILE.npy")
    arrays.add_argument("--classes", required=True, choices=sorted(TABLES), help="class table whose order the vectors have")
    for source in (masks, arrays):
        source.add_argument("--out", type=Path, required=True, help="the JSON file")
    describe = actions.add_parser("describe", help="classes per image and classes that occur together, as image_labels.json and .png")
    describe.add_argument("files", nargs="+", metavar="[NAME=]FILE", help="image_labels.json of a set, with the name to show it by")
    describe.add_argument("--out", type=Path, required=True, help="folder for image_labels.json and image_labels.png")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Write the labels or their statistics."""
    args = parse_args(argv, prog)
    if args.action == "describe":
        _describe(args.files, args.out)
    else:
        _write(args)
    return 0


def _write(args: argparse.Namespace) -> None:
    from mmstreet.datasets.image_labels import derive_image_labels
    from mmstreet.datasets.label_arrays import read_label_arrays
    from mmstreet.datasets.layouts import LAYOUTS, detect_layout
    from mmstreet.files.atomic import check_target

    check_target(args.out)
    if args.action == "masks":
        layout = LAYOUTS[args.layout] if args.layout else detect_layout(args.input)
        settings = {"min_pixels": args.min_pixels, "workers": args.workers, "progress": True}
        labels = derive_image_labels(args.input, layout, args.split, **settings)
    else:
        labels = read_label_arrays(args.input, classes=get_table(args.classes).names)
    labels.save(args.out)
    empty = sum(not ids for ids in labels.labels.values())
    print(f"{len(labels)} images, {len(labels.classes)} classes, {empty} images without any, in {args.out}")


def _describe(files: Sequence[str], out: Path) -> None:
    from mmstreet.datasets.image_labels import describe_image_labels, load_image_labels
    from mmstreet.files.atomic import write_json
    from mmstreet.files.tables import markdown_table
    from mmstreet.report.image_label_plot import plot_image_labels

    stats = {}
    for item in files:
        name, _, file = item.rpartition("=")
        stats[name or Path(file).parent.name or Path(file).stem] = describe_image_labels(load_image_labels(file))
    chart = plot_image_labels(stats, out / "image_labels.png")
    rows = [[name, str(one["images"]), str(len(one["classes"])), one["mean_classes_per_image"]] for name, one in stats.items()]
    print(markdown_table(["set", "images", "classes", "classes per image"], rows))
    print(write_json(stats, out / "image_labels.json"), chart, sep="\n")
