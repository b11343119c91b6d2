"""One class before and after: where two predictions of the same images find it, miss it and see it where it is not.

    mmstreet demo
    python -m benchmarks.class_pictures pole --images data/mini/images/10k/val --truth data/mini/labels/sem_seg/masks/val \
        --table bdd100k_sem19 --predicted work_dirs/demo/before work_dirs/demo/after --out poles.jpg

Green was found, blue missed, red is something else. Predictions are folders of ``mmstreet predict``; each may have classes of its own.
Of the predicted images, those with most pixels of the class are shown; the IoU in the titles is over all of them.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from mmstreet.labels import get_table
from mmstreet.report.side_by_side import write_side_by_side

FOUND, MISSED, FALSE = (60, 200, 60), (60, 110, 255), (240, 60, 50)


def draw_class(image: np.ndarray, truth: np.ndarray, predicted: np.ndarray, ignored: np.ndarray) -> np.ndarray:
    """Colour an image by what a prediction does with one class.

    Args:
        image: RGB, uint8 ``[H, W, 3]``; it becomes darker.
        truth: Where the class is, bool ``[H, W]``.
        predicted: Where it is predicted, bool ``[H, W]``.
        ignored: Where nothing is labelled, bool ``[H, W]``; nothing is coloured there.
    """
    drawn = image // 2
    for mask, color in ((truth & predicted, FOUND), (truth & ~predicted, MISSED), (predicted & ~truth, FALSE)):
        drawn[mask & ~ignored] = color
    return drawn


def read_ids(path: Path) -> np.ndarray:
    """Read a label map of one channel, indexed or grey."""
    return np.asarray(Image.open(path))


def class_of(folder: Path, name: str) -> int:
    """Find a class in the table that ``mmstreet predict`` wrote into its folder."""
    classes = json.loads((folder / "run.json").read_text(encoding="utf-8"))["classes"]
    if name not in classes:
        raise SystemExit(f"'{folder}' has no class '{name}'; it has {', '.join(classes)}")
    return classes.index(name)


def main() -> None:
    """Write the picture and print the IoU of the class in each folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", metavar="CLASS")
    parser.add_argument("--images", type=Path, required=True)
    parser.add_argument("--truth", type=Path, required=True, help="label maps, NAME.png of train ids")
    parser.add_argument("--table", required=True, help="class table of the label maps, e.g. bdd100k_sem19")
    parser.add_argument("--predicted", type=Path, nargs="+", required=True, help="folders of mmstreet predict")
    parser.add_argument("--titles", nargs="+", help="one for each folder (default: their names)")
    parser.add_argument("--rows", type=int, default=3, help="images shown (default 3)")
    parser.add_argument("--out", type=Path, default=Path("class.jpg"))
    args = parser.parse_args()
    titles = args.titles or [folder.name for folder in args.predicted]
    if len(titles) != len(args.predicted):
        parser.error(f"--titles needs one for each of the {len(args.predicted)} folders, got {len(titles)}")
    wanted = get_table(args.table).index(args.name)
    ids = [class_of(folder, args.name) for folder in args.predicted]
    maps = [{path.stem: path for path in (folder / "labels").rglob("*.png")} for folder in args.predicted]
    stems = sorted(maps[0])
    truths = {stem: read_ids(args.truth / f"{stem}.png") for stem in stems}
    shown = sorted(stems, key=lambda stem: -int((truths[stem] == wanted).sum()))[: args.rows]
    both, either = np.zeros(len(ids)), np.zeros(len(ids))
    rows = []
    with tempfile.TemporaryDirectory() as scratch:
        for stem in stems:
            truth, ignored = truths[stem] == wanted, truths[stem] == 255
            (photo,) = args.images.glob(f"{stem}.*")
            row = [photo]
            for place, found in enumerate(maps):
                predicted = read_ids(found[stem]) == ids[place]
                both[place] += (truth & predicted & ~ignored).sum()
                either[place] += ((truth | predicted) & ~ignored).sum()
                row.append(Path(scratch) / f"{place}_{stem}.png")
                if stem in shown:
                    drawn = draw_class(np.asarray(Image.open(photo).convert("RGB")), truth, predicted, ignored)
                    Image.fromarray(drawn).save(row[-1])
            if stem in shown:
                rows.append(row)
        scores = 100 * both / np.maximum(either, 1)
        headings = [f"{title}: {args.name} {score:.1f} IoU" for title, score in zip(titles, scores, strict=True)]
        print(write_side_by_side(rows, ["image", *headings], args.out))
    print("; ".join(f"{heading}, {len(stems)} images" for heading in headings))


if __name__ == "__main__":
    main()
