"""Describe image-level labels: classes per image, classes that occur together, images with and without each class.

    python tools/describe_image_labels.py Cityscapes=city/image_labels_train.json CamVid=camvid/image_labels_train.json --out stats

Writes image_labels.json with the numbers and image_labels.png with the chart into the folder OUT.
"""

import argparse
from pathlib import Path

from mmstreet.datasets.image_label_stats import describe_image_labels
from mmstreet.datasets.image_labels import load_image_labels
from mmstreet.files.atomic import write_json
from mmstreet.files.tables import markdown_table
from mmstreet.report.image_label_plot import plot_image_labels


def main(argv: list[str] | None = None) -> None:
    """Read the files, print one line per set, write JSON and PNG."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", metavar="[NAME=]FILE", help="image_labels.json of a set, with the name to show it by")
    parser.add_argument("--out", type=Path, required=True, help="folder for image_labels.json and image_labels.png")
    args = parser.parse_args(argv)
    stats = {}
    try:
        for item in args.files:
            name, _, file = item.rpartition("=")
            stats[name or Path(file).parent.name or Path(file).stem] = describe_image_labels(load_image_labels(file))
        chart = plot_image_labels(stats, args.out / "image_labels.png")
    except (OSError, ValueError) as error:
        parser.exit(1, f"describe_image_labels: {error}\n")
    rows = [[name, str(one["images"]), str(len(one["classes"])), one["mean_classes_per_image"]] for name, one in stats.items()]
    print(markdown_table(["set", "images", "classes", "classes per image"], rows))
    print(write_json(stats, args.out / "image_labels.json"), chart, sep="\n")


if __name__ == "__main__":
    main()
