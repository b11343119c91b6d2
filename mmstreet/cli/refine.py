"""``mmstreet refine``: refine a folder of saved predictions, without the network that made them."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import SHARES, CommandParser, add_results
from mmstreet.cli.on_ray import add_ray
from mmstreet.cli.outcome import print_outcome
from mmstreet.engine.errors import LaunchError
from mmstreet.files.colors import check_palette
from mmstreet.labels import TABLES, are_rows_of, find_table


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(prog=prog, description=f"Refine saved predictions. {SHARES}")
    parser.add_argument("images", metavar="IMAGES", help="image, folder (searched to its depth), pattern in quotes, or list (.txt)")
    parser.add_argument(
        "predictions",
        type=Path,
        metavar="PREDICTIONS",
        help="folder of 'mmstreet predict', or of NAME.png (class ids), NAME.npy or NAME.npz (probabilities [C, H, W])",
    )
    parser.add_argument("--refine", required=True, metavar="CONFIG", help="refiner, e.g. sam2, or a config file")
    parser.add_argument(
        "--classes",
        help=f"class names with commas between them, or one of: {', '.join(sorted(TABLES))}; default: what 'mmstreet predict' wrote down",
    )
    parser.add_argument("--out", "-o", type=Path, required=True, help="folder for the results: labels/, overlays/, records/, summary.json")
    parser.add_argument("--cache", type=Path, help="folder that keeps the masks of the refiner's source; default: OUT/masks")
    parser.add_argument("--no-cache", action="store_true", help="keep no masks")
    add_ray(parser)
    add_results(parser, verb="refine")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return its exit code: 0, or 1 if any file failed."""
    args = parse_args(argv, prog)
    from mmstreet.predict.chunks import work_through
    from mmstreet.predict.folder import PredictionFolder
    from mmstreet.predict.refining import find_prediction, refine_sources, summarize_changes, with_cache
    from mmstreet.predict.sources import find_sources
    from mmstreet.refine.configured import build_refiner, identify_refiner, read_refiner

    sources = [source for source in find_sources(args.images) if not source.is_video]
    if args.out.resolve() == args.predictions.resolve():
        raise LaunchError(f"--out '{args.out}' is the folder of predictions, which would be overwritten; choose another --out")
    if not args.predictions.is_dir():
        raise LaunchError(f"folder of predictions '{args.predictions}' does not exist")
    classes, label_rows, threshold, orientation = _read_run(args)
    settings = read_refiner(args.refine)
    cached = settings if args.no_cache else with_cache(settings, args.cache or args.out / "masks")
    refiner = build_refiner(cached, classes, label_rows=label_rows)
    folder = PredictionFolder(
        args.out,
        {
            "refiner": Path(args.refine).stem,
            "settings": identify_refiner(settings, refiner),
            "classes": list(classes),
            **({"label_rows": label_rows} if label_rows else {}),
            "threshold": threshold,
            "orientation": orientation,
        },
        inputs_of=lambda source: [find_prediction(args.predictions, source.name), source.path],
        overlays=not args.no_overlays,
        overwrite=args.overwrite,
    )
    share = work_through(
        sources,
        folder,
        lambda some, _: refine_sources(
            refiner,
            some,
            args.predictions,
            folder,
            palette=_palette(classes, label_rows),
            threshold=threshold,
            orientation=orientation,
            progress=False,
        ),
        finish=summarize_changes,
        desc="refine",
    )
    changed = share.summary["changes"]["changed_percent"]
    remark = f"{'no' if changed is None else f'{changed:.2f} %'} pixels changed; "
    print_outcome(share, folder, verb="refined", total=len(sources), remark=remark)
    return 1 if share.outcome.failed else 0


def _read_run(args: argparse.Namespace) -> tuple[tuple[str, ...], list[dict], float | None, str]:
    """Class names, the rows of a class table of one's own, the threshold of a binary head, and how the images were turned."""
    from mmstreet.predict.folder import SETTINGS
    from mmstreet.predict.identity import read_object
    from mmstreet.refine.prediction import read_classes

    path = args.predictions / SETTINGS
    run = (read_object(path) if path.is_file() else None) or {}
    threshold, orientation = run.get("threshold"), run.get("orientation", "stored")
    if orientation not in ("stored", "exif"):
        raise LaunchError(f"'{path}' is damaged: the orientation must be 'stored' or 'exif', got {orientation!r}")
    if threshold is not None and not (isinstance(threshold, float) and 0 < threshold < 1):
        raise LaunchError(f"'{path}' is damaged: the threshold must be a number between 0 and 1, got {threshold!r}")
    if args.classes:
        names = args.classes if args.classes in TABLES else [name.strip() for name in args.classes.split(",")]
        return read_classes(names), [], threshold, orientation
    if not path.is_file():
        raise LaunchError(f"'{args.predictions}' does not say which classes its ids stand for (no {SETTINGS}); give --classes")
    names = run.get("classes")
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise LaunchError(f"'{path}' is damaged: expected 'classes', a list of names; give --classes")
    rows = run.get("label_rows", [])
    if rows and not are_rows_of(rows, names):
        raise LaunchError(f"'{path}' is damaged: 'label_rows' are no class table of these classes; give --classes")
    return tuple(names), rows, threshold, orientation


def _palette(classes: tuple[str, ...], label_rows: list[dict]) -> object:
    table = find_table({"classes": classes, "label_rows": label_rows})
    return check_palette(None if table is None else table.palette, len(classes))
