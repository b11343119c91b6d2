"""``mmstreet init``: look at a data set's folder and write what it is into one ``data.yaml``."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmstreet.cli.arguments import CommandParser

if TYPE_CHECKING:
    from mmstreet.datasets.survey import Survey


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog,
        description="Look at a data set and describe it in one data.yaml: folders, splits, class names, ids, colours, counts, and what is "
        "doubtful. train, test, verify, predict and convert read that file.",
    )
    parser.add_argument(
        "folder",
        type=Path,
        nargs="+",
        metavar="FOLDER",
        help="a published data set, COCO, YOLO, VOC, CVAT, or images and masks; or data.yaml files to join as one data set",
    )
    parser.add_argument(
        "--classes", metavar="TABLE", help="of files that are joined: the known table that is learned; default: the first's"
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
    args.join = all(path.suffix.lower() in (".yaml", ".yml") for path in args.folder)
    if len(args.folder) > 1 and not args.join:
        parser.error("several data sets are joined by their data.yaml files; describe each folder by itself first")
    if args.classes and not args.join:
        parser.error("--classes goes with data.yaml files that are joined; the classes of a folder are corrected in the file")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return its exit code."""
    args = parse_args(argv, prog)
    from mmstreet.datasets.data_file import is_data_file, read_data_file
    from mmstreet.datasets.data_text import write_data_file
    from mmstreet.datasets.join import join_data

    if args.out.exists() and not is_data_file(args.out):
        raise FileExistsError(f"'{args.out}' is there already and describes no data for mmstreet, so it is kept; choose another --out")
    if args.out.exists() and not args.overwrite:
        raise FileExistsError(f"'{args.out}' is there already; add --overwrite to replace it, or choose another --out")
    if args.join:
        found = join_data(args.folder, out=args.out, classes=args.classes, name=args.name)
    else:
        found = _look(args.folder[0], args)
    written = write_data_file(found, args.out)
    data = read_data_file(args.out)
    print(f"{', '.join(map(str, args.folder))}: {found.content['kind']}")
    for split, counts in found.content.get("counts", {}).items():
        print(f"  {split}: {', '.join(f'{value} {key}' for key, value in counts.items() if key in ('images', 'labels', 'read'))}")
    print(f"  {len(data.table)} classes: {', '.join(data.table.names)}")
    for doubt in found.suspicions:
        print(f"  look: {doubt}")
    print("\n".join(str(path) for path in written))
    return 0


def _look(folder: Path, args: argparse.Namespace) -> Survey:
    from mmstreet.datasets.drawn_labels import draw_maps
    from mmstreet.datasets.recognise import nothing_found, recognise_maps
    from mmstreet.datasets.shape_sets import recognise_shapes
    from mmstreet.datasets.survey import survey

    if not folder.is_dir():
        raise FileNotFoundError(f"'{folder}' is no folder; give the folder of a data set, unpacked")
    seen, lost = recognise_maps(folder, plain=False), []
    if seen is None and (shapes := recognise_shapes(folder)) is not None:
        seen, lost = draw_maps(shapes, folder, args.out, workers=args.workers, overwrite=args.overwrite)
    seen = seen or recognise_maps(folder)
    if seen is None:
        raise nothing_found(folder)
    found = survey(folder, seen, out=args.out, name=args.name, workers=args.workers, sample=args.sample)
    found.suspicions[:0] = lost
    return found
