"""Make pseudo-masks from image-level labels with CLIP: as files for the single path, or as a picture of the four views.

    python tools/make_pseudo_masks.py files data/cityscapes --image-labels data/cityscapes/image_labels_train.json \\
        --table cityscapes19 --embeddings checkpoints/clip_vit_b16_cityscapes19.npz --out data/cityscapes/pseudo_masks/train
    python tools/make_pseudo_masks.py picture street.jpg --classes road,car,sky --table cityscapes19 --embeddings … --out views.png

An interrupted run of the first kind goes on where it stopped.
"""

import argparse
from pathlib import Path

from mmstreet.datasets.image_labels import load_image_labels
from mmstreet.datasets.layouts import LAYOUTS, detect_layout
from mmstreet.engine.errors import LaunchError
from mmstreet.labels import TABLES, get_table
from mmstreet.models.clip import ClipTeacher
from mmstreet.predict.pseudo_masks import VIEWS, draw_views, write_pseudo_masks


def main(argv: list[str] | None = None) -> None:
    """Load the teacher, then write masks or one picture."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    kinds = parser.add_subparsers(dest="kind", required=True)
    files = kinds.add_parser("files", help="one mask per image of a split")
    files.add_argument("input", type=Path, metavar="DATA_ROOT")
    files.add_argument("--image-labels", type=Path, required=True, help="image_labels.json of the split")
    files.add_argument("--split", default="train", help="folder of the split (default: train)")
    files.add_argument("--layout", choices=sorted(LAYOUTS), help="folder scheme; default: recognise it")
    files.add_argument("--view", choices=VIEWS, default="whole", help="how the image is shown to CLIP (default: whole)")
    picture = kinds.add_parser("picture", help="the four views of one image, beside it")
    picture.add_argument("input", type=Path, metavar="IMAGE")
    picture.add_argument("--classes", required=True, help="what the image shows, names with commas between")
    for kind in (files, picture):
        kind.add_argument("--table", choices=sorted(TABLES), required=True, help="class table of the embeddings")
        kind.add_argument("--embeddings", type=Path, required=True, help="file by tools/make_text_embeddings.py")
        kind.add_argument("--model", default="openai/clip-vit-base-patch16", help="CLIP, hub name or folder (default: %(default)s)")
        kind.add_argument("--device", default="cpu", help="e.g. cuda (default: cpu)")
        kind.add_argument("--out", type=Path, required=True, help="folder of the masks, or the picture")
    args = parser.parse_args(argv)
    settings = {"model": args.model, "table": args.table, "embeddings": str(args.embeddings)}
    table = get_table(args.table)
    try:
        teacher = ClipTeacher(model=args.model, text_embeddings=str(args.embeddings), table=args.table).to(args.device)
        if args.kind == "picture":
            args.out.parent.mkdir(parents=True, exist_ok=True)
            draw_views(teacher, args.input, [name.strip() for name in args.classes.split(",")], table).save(args.out)
            print(f"four views in {args.out}")
            return
        layout = LAYOUTS[args.layout] if args.layout else detect_layout(args.input)
        labels = load_image_labels(args.image_labels, classes=table.names)
        written, kept = write_pseudo_masks(
            teacher, args.input, layout, args.split, labels, args.out, settings=settings, view=args.view, progress=True
        )
        print(f"{written} masks written, {kept} were there, in {args.out}")
    except (OSError, ValueError, KeyError, ImportError, LaunchError) as error:
        parser.exit(1, f"make_pseudo_masks: {error.args[0] if isinstance(error, KeyError) else error}\n")


if __name__ == "__main__":
    main()
