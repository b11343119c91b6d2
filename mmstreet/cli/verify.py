"""``mmstreet verify``: check every file of a data set and count its pixels."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser
from mmstreet.cli.on_ray import add_ray
from mmstreet.files.config_files import shipped_names


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(prog=prog, description="Read all images and labels; report problems, pixels per class and class weights.")
    parser.add_argument(
        "source", metavar="ROOT|DATA|CONFIG", help="data root in a known layout, a data.yaml, or a config with data loaders"
    )
    parser.add_argument("--out", default="work_dirs/verify_dataset", help="folder for dataset.json and class_pixels.png")
    parser.add_argument("--workers", type=int, help="processes; default: all cores")
    parser.add_argument("--max-problems", type=int, default=10, help="problems of each kind to print; the JSON file has all")
    add_ray(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return its exit code."""
    args = parse_args(argv, prog)
    from mmstreet.datasets.data_file import is_data_file
    from mmstreet.datasets.inventory import inventories_of_data, inventory_of_config, inventory_of_root
    from mmstreet.datasets.verify import verify, verify_together
    from mmstreet.files.atomic import write_json
    from mmstreet.files.sharing import current_job
    from mmstreet.losses.class_weights import compute_class_weights
    from mmstreet.report.dataset_plot import plot_class_pixels
    from mmstreet.report.dataset_table import format_verification

    source = Path(args.source)
    if is_data_file(source):
        inventories = inventories_of_data(source)
    elif source.is_file() or (source.stem in shipped_names() and not source.is_dir()):
        inventories = [inventory_of_config(args.source)]
    else:
        inventories = [inventory_of_root(args.source)]
    if current_job()[0]:
        report = verify_together(*inventories, folder=args.out)
        if report is None:
            print(f"other processes are still at work; the last of them writes {Path(args.out) / 'dataset.json'}")
            return 0
    else:
        report = verify(*inventories, workers=args.workers)

    splits = [name for name in report["splits"] if name.rpartition("/")[2] == "train"] or list(report["splits"])[:1]
    split = ", ".join(splits)
    counts = [sum(pixels) for pixels in zip(*(report["splits"][name]["pixels"] for name in splits))]
    if any(counts):
        settings = dict(method="inverse", normalize="mean", clip=(0.1, 10.0), zero="max")
        report["weights"] = f"from the pixels of '{split}': {', '.join(f'{key}={value}' for key, value in settings.items())}"
        for row, weight in zip(report["classes"], compute_class_weights(counts, **settings)):
            row["weight"] = weight
    print(format_verification(report, max_problems=args.max_problems))
    print(f"\n{write_json(report, Path(args.out) / 'dataset.json')}\n{plot_class_pixels(report, Path(args.out) / 'class_pixels.png')}")
    return 0 if report["ok"] else 1
