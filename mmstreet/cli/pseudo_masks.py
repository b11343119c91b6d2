"""``mmstreet pseudo-masks``: masks from image-level labels by CLIP, as files for training or as a picture of the four views."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser, add_clip, add_layout
from mmstreet.cli.on_ray import add_ray
from mmstreet.labels import TABLES, get_table


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog,
        description="Make pseudo-masks from image-level labels with CLIP: as files for training, or as a picture of the four views. "
        "An interrupted run of the first kind goes on where it stopped.",
    )
    kinds = parser.add_subparsers(dest="kind", required=True)
    files = kinds.add_parser("files", help="one mask per image of a split")
    files.add_argument("input", type=Path, metavar="DATA_ROOT")
    files.add_argument("--image-labels", type=Path, required=True, help="image_labels.json of the split")
    files.add_argument("--split", default="train", help="folder of the split (default: train)")
    add_layout(files)
    files.add_argument(
        "--view", choices=("whole", "resized", "quarters", "both"), default="whole", help="how the image is shown to CLIP (default: whole)"
    )
    add_ray(files)
    picture = kinds.add_parser("picture", help="the four views of one image, beside it")
    picture.add_argument("input", type=Path, metavar="IMAGE")
    picture.add_argument("--classes", required=True, help="what the image shows, names with commas between")
    for kind in (files, picture):
        kind.add_argument("--table", choices=sorted(TABLES), required=True, help="class table of the embeddings")
        kind.add_argument("--embeddings", type=Path, required=True, help="file by mmstreet text-embeddings")
        add_clip(kind)
        kind.add_argument("--device", default="cpu", help="e.g. cuda (default: cpu)")
        kind.add_argument("--out", type=Path, required=True, help="folder of the masks, or the picture")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Load the teacher, then write masks or one picture."""
    args = parse_args(argv, prog)
    from mmstreet.datasets.image_labels import load_image_labels
    from mmstreet.datasets.layouts import LAYOUTS, detect_layout
    from mmstreet.files.atomic import atomic_path
    from mmstreet.models.clip import ClipTeacher
    from mmstreet.predict.pseudo_masks import render_views, write_pseudo_masks

    table = get_table(args.table)
    shared = {"model": args.model, "table": args.table}
    teacher = ClipTeacher(text_embeddings=str(args.embeddings), **shared).to(args.device)
    if args.kind == "picture":
        picture = render_views(teacher, args.input, [name.strip() for name in args.classes.split(",")], table)
        with atomic_path(args.out) as temporary:
            picture.save(temporary)
        print(f"four views in {args.out}")
        return 0
    layout = LAYOUTS[args.layout] if args.layout else detect_layout(args.input)
    labels = load_image_labels(args.image_labels, classes=table.names)
    settings = {**shared, "embeddings": str(args.embeddings)}
    written, kept = write_pseudo_masks(
        teacher, args.input, layout, args.split, labels, args.out, settings=settings, view=args.view, progress=True
    )
    print(f"{written} masks written, {kept} were there, in {args.out}")
    return 0
