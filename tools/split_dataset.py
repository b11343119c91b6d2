"""Split a data set's labelled images into training and validation list files: python tools/split_dataset.py ROOT."""

import argparse

from mmstreet.datasets.layouts import LAYOUTS
from mmstreet.datasets.splits import write_split


def main() -> None:
    parser = argparse.ArgumentParser(description="Write train.txt and val.txt, for a dataset's ann_file=.")
    parser.add_argument("root", help="data root, e.g. data/bdd100k")
    parser.add_argument("--out", help="folder for the list files; default: ROOT/splits")
    parser.add_argument("--layout", choices=sorted(LAYOUTS), help="default: recognised by its folders")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train-share", type=float, default=0.8)
    args = parser.parse_args()
    try:
        written = write_split(args.root, layout=args.layout, out=args.out, seed=args.seed, train_share=args.train_share)
    except (OSError, ValueError) as error:
        raise SystemExit(f"split_dataset: {error}") from None
    for side, (path, count) in written.items():
        print(f"{side:<6}{count:>6} images  {path}")


if __name__ == "__main__":
    main()
