"""Draw a small street data set in BDD100K's own layout: python tools/make_mini_dataset.py OUT --train 160 --val 40 --seed 0."""

import argparse

from mmstreet.files.parallel import available_cores
from mmstreet.mini.sheet import write_contact_sheet
from mmstreet.mini.writer import MiniSettings, parse_size, write_mini_dataset


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw street scenes with semantic, instance and image-level labels.")
    parser.add_argument("out", metavar="OUT", help="folder for the data set")
    parser.add_argument("--train", type=int, default=160, help="training pictures (default: 160)")
    parser.add_argument("--val", type=int, default=40, help="validation pictures (default: 40)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same bytes (default: 0)")
    parser.add_argument("--size", default="640x360", help="WIDTHxHEIGHT in pixels (default: 640x360)")
    parser.add_argument("--workers", type=int, default=available_cores(), help="processes; default: all cores")
    parser.add_argument("--overwrite", action="store_true", help="replace an earlier mini data set in OUT")
    parser.add_argument("--contact-sheet", metavar="PATH", help="also write a sheet of pictures beside their labels")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        settings = MiniSettings(train=args.train, val=args.val, seed=args.seed, size_wh=parse_size(args.size))
        write_mini_dataset(args.out, settings, workers=args.workers, overwrite=args.overwrite, progress=True)
    except (OSError, ValueError) as error:
        raise SystemExit(f"make_mini_dataset: {error}") from None
    print(f"{settings.train} training and {settings.val} validation pictures of {args.size} in {args.out}")
    if args.contact_sheet:
        print(write_contact_sheet(args.out, args.contact_sheet))


if __name__ == "__main__":
    main()
