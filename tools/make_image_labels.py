"""Write image_labels.json: which classes each image shows.

    python tools/make_image_labels.py masks data/cityscapes --split train --out data/cityscapes/image_labels_train.json
    python tools/make_image_labels.py npy labels.npy --classes cityscapes19 --out data/cityscapes/image_labels_train.json

From masks, a class counts as shown from --min-pixels pixels on. From a published .npy file only arrays of numbers are read;
nothing in it is run.
"""

import argparse
from pathlib import Path

from mmstreet.datasets.image_labels import derive_image_labels
from mmstreet.datasets.label_arrays import read_label_arrays
from mmstreet.datasets.layouts import LAYOUTS, detect_layout
from mmstreet.labels import TABLES, get_table


def main(argv: list[str] | None = None) -> None:
    """Read masks or an array file, write the JSON file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    sources = parser.add_subparsers(dest="source", required=True)
    masks = sources.add_parser("masks", help="from the label maps of a data root")
    masks.add_argument("input", type=Path, metavar="DATA_ROOT")
    masks.add_argument("--split", default="train", help="folder of the split (default: train)")
    masks.add_argument("--layout", choices=sorted(LAYOUTS), help="folder scheme; default: recognise it")
    masks.add_argument("--min-pixels", type=int, default=1, help="pixels that a class needs to count as shown (default: 1)")
    masks.add_argument("--workers", type=int, help="processes (default: one per core)")
    arrays = sources.add_parser("npy", help="from a published array file")
    arrays.add_argument("input", type=Path, metavar="FILE.npy")
    arrays.add_argument("--classes", required=True, choices=sorted(TABLES), help="class table whose order the vectors have")
    for source in (masks, arrays):
        source.add_argument("--out", type=Path, required=True, help="the JSON file")
    args = parser.parse_args(argv)
    try:
        if args.source == "masks":
            layout = LAYOUTS[args.layout] if args.layout else detect_layout(args.input)
            settings = {"min_pixels": args.min_pixels, "workers": args.workers, "progress": True}
            labels = derive_image_labels(args.input, layout, args.split, **settings)
        else:
            labels = read_label_arrays(args.input, classes=get_table(args.classes).names)
    except (OSError, ValueError) as error:
        parser.exit(1, f"make_image_labels: {error}\n")
    labels.save(args.out)
    empty = sum(not ids for ids in labels.labels.values())
    print(f"{len(labels)} images, {len(labels.classes)} classes, {empty} images without any, in {args.out}")


if __name__ == "__main__":
    main()
