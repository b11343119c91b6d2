"""``mmstreet convert``: labels from any format to any other.

What came in is what went out plus what is counted as skipped; what the target has no place for is counted, too. Both are on the screen,
and with examples in OUTPUT.report.json.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser
from mmstreet.cli.on_ray import add_ray
from mmstreet.formats.catalogue import FORMATS, READERS, WRITERS, get_reader, get_writer

DATA = "data.yaml"
"""What an input is called that is no label format but describes data."""
_OPTIONS = {
    "bitmasks": ("--from", ("scalabel",)),
    "size": ("--from", ("scalabel",)),
    "predictions": ("--from", ("coco",)),
    "image_suffix": ("--from", ("bitmask", "semantic", "cityscapes", "cvat")),
    "label_suffix": ("--from", ("semantic",)),
    "palette": ("--from", ("semantic",)),
    "no_overlaps": ("--to", ("scalabel",)),
    "polygons": ("--to", ("scalabel", "coco")),
    "copy_images": ("--to", ("yolo", "cityscapes", "fiftyone")),
    "with_predictions": ("--to", ("fiftyone",)),
    "scores": ("--to", ("fiftyone",)),
}
"""Options that only some formats know."""


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    width = max(map(len, FORMATS))
    parser = CommandParser(
        prog=prog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="Convert labels from any format to any other. Every label is converted or counted as skipped, and what the target\n"
        "has no place for is counted, on the screen and in OUTPUT.report.json.",
        epilog="formats:\n" + "\n".join(f"  {name:<{width}}  {row.summary}" for name, row in FORMATS.items()),
    )
    parser.add_argument("input", type=Path, help="file or folder of labels, or a data.yaml of mmstreet init")
    parser.add_argument("output", type=Path, help="file or folder to write")
    parser.add_argument("--from", dest="source", choices=READERS, metavar="FORMAT", help="format of the input (default: recognised)")
    parser.add_argument("--to", dest="target", required=True, choices=WRITERS, metavar="FORMAT", help="format of the output")
    parser.add_argument("--classes", metavar="TABLE", help="class table, a name or a .json file of rows (default: the input's own classes)")
    parser.add_argument("--images", type=Path, help="image folder: checks that every image is there and has the size of its labels")
    parser.add_argument("--bitmasks", type=Path, help="with --from scalabel: folder of bitmasks that give masks, flags and classes")
    parser.add_argument("--size", type=int, nargs=2, metavar=("HEIGHT", "WIDTH"), help="with --from scalabel: size of images without one")
    parser.add_argument("--image-suffix", help="where labels do not name their images: suffix of those that are not found (default: .jpg)")
    parser.add_argument("--label-suffix", help="with --from semantic: ending of the label maps (default: .png)")
    parser.add_argument("--palette", choices=("color", "index"), help="with --from semantic: what pixels of palette images are")
    parser.add_argument("--predictions", type=Path, help="with --from coco: COCO results that take the place of the annotations")
    parser.add_argument("--no-overlaps", action="store_true", help="with --to scalabel: each pixel belongs to one instance, by score")
    parser.add_argument("--polygons", action="store_true", help="with --to scalabel or coco: polygons of the same pixels, no run lengths")
    parser.add_argument("--copy-images", action="store_true", help="with --to yolo, cityscapes or fiftyone: put the images there, too")
    parser.add_argument(
        "--with-predictions", type=Path, metavar="PATH", help="with --to fiftyone: predictions beside the labels, any format"
    )
    parser.add_argument("--scores", type=Path, help="with --to fiftyone: per_image.npz of mmstreet test, for each image's scores")
    parser.add_argument("--split", choices=("train", "val", "test"), help="of a data.yaml, one split (default: all)")
    parser.add_argument("--overwrite", action="store_true", help="replace a folder that is not empty")
    parser.add_argument("--workers", type=int, help="processes (default: one per core)")
    parser.add_argument("--strict", action="store_true", help="stop at the first label that cannot be converted")
    add_ray(parser)
    args = parser.parse_args(argv)
    args.source = args.source or _recognise(args.input)
    if args.split and args.source != DATA:
        parser.error("--split goes with a data.yaml")
    for option, (side, formats) in _OPTIONS.items():
        if getattr(args, option) and (args.source if side == "--from" else args.target) not in formats:
            parser.error(f"--{option.replace('_', '-')} goes with {side} {' or '.join(formats)}")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Convert, print the report, write it beside the output."""
    args = parse_args(argv, prog)
    from mmstreet.files.sharing import current_job
    from mmstreet.formats.convert import convert
    from mmstreet.formats.shared_conversion import convert_together

    reader_type, writer_type = _reader_of(args.source), get_writer(args.target)
    own = None if args.classes else reader_type.find_table(args.input)
    table = _choose_table(args.classes, own, "" if args.source == DATA else FORMATS[args.source].table)
    told = {
        "bitmask_root": args.bitmasks,
        "default_size_hw": args.size and tuple(args.size),
        "predictions": args.predictions,
        "image_suffix": args.image_suffix,
        "label_suffix": args.label_suffix,
        "palette": args.palette,
        "split": args.split,
    }
    reader = reader_type(args.input, table, args.images, **{name: value for name, value in told.items() if value})
    more = {"overlaps": False} if args.no_overlaps else {"scores": args.scores} if args.scores else {}
    more |= {"polygons": True} if args.polygons else {}
    if args.with_predictions:
        source = _recognise(args.with_predictions)
        found = get_reader(source).find_table(args.with_predictions)
        more["predictions"] = get_reader(source)(args.with_predictions, table if found is None else found, None)
    writer = writer_type(args.output, table, **more)
    settings = dict(strict=args.strict, overwrite=args.overwrite, copy_images=args.copy_images)
    together = bool(current_job()[0])
    report = convert_together(reader, writer, **settings) if together else convert(reader, writer, workers=args.workers, **settings)
    if report is None:
        print(f"other processes are still at work; the last of them writes {args.output}")
        return 0
    stem = args.output.name if writer.is_folder else args.output.stem
    report.write(args.output.with_name(f"{stem}.report.json"))
    print(f"{args.source} → {args.target}, {len(table)} classes of {table.name}")
    print(report)
    if args.target in ("yolo", "cityscapes") and not args.copy_images:
        print(f"the images are not in {args.output}: --copy-images puts them to {writer.picture_target('NAME.jpg')}")
    return 0


def _reader_of(name: str):
    if name != DATA:
        return get_reader(name)
    from mmstreet.datasets.data_reader import DataReader

    return DataReader


def _recognise(path: Path) -> str:
    from mmstreet.datasets.data_file import is_data_file

    if is_data_file(path):
        return DATA
    from mmstreet.formats.detect import detect_format

    return detect_format(path)


def _choose_table(asked, own, default: str):
    from mmstreet.formats.json_stream import load_json
    from mmstreet.labels import get_table

    if asked is None:
        return get_table(default) if own is None else own
    return get_table(load_json(asked), name=asked) if asked.endswith(".json") else get_table(asked)
