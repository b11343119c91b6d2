"""``mmstreet push``: a trained model as one folder with its card, and that folder on the Hugging Face hub."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser, add_cfg_options, add_model, folder_of, read_cfg_options
from mmstreet.engine.errors import LaunchError

_CHECK_IMAGES = 4


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog,
        description="Write a trained segmentor as one folder (weights, config, classes, metrics, licence, model card) and upload it to the "
        "Hugging Face hub, where mmstreet predict --model OWNER/NAME finds it.",
    )
    add_model(parser)
    parser.add_argument("name", metavar="OWNER/NAME", help="name on the hub")
    parser.add_argument("--licence", "--license", required=True, help="licence of the weights, e.g. apache-2.0 or cc-by-nc-4.0")
    parser.add_argument("--folder", type=Path, help="where the folder is written; default: work_dirs/push/NAME")
    parser.add_argument("--metrics", type=Path, help="metrics.json of mmstreet test; default: that of the checkpoint's folder, if it fits")
    parser.add_argument("--data", help="what the model was tested on, for the card")
    parser.add_argument("--images", help="image, folder or pattern to check the exported file with; default: the config's test set")
    parser.add_argument("--size", metavar="WxH", help="the only input size of the exported file; default: any size")
    parser.add_argument("--half", action="store_true", help="store the weights of the exported file as float16")
    parser.add_argument("--private", action="store_true", help="make a new repository private")
    parser.add_argument("--no-upload", action="store_true", help="write the folder only")
    parser.add_argument("--trust-checkpoint", action="store_true", help="read a checkpoint that may run code; only for files of your own")
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    if not re.fullmatch(r"[\w.-]+/[\w.-]+", args.name):
        parser.error(f"the name on the hub must be OWNER/NAME, not '{args.name}'")
    if args.size is not None and not re.fullmatch(r"[1-9]\d*x[1-9]\d*", args.size):
        parser.error(f"--size must be WIDTHxHEIGHT in pixels, e.g. 640x360, not '{args.size}'")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Write the folder, then upload it; return the exit code."""
    args = parse_args(argv, prog)
    from mmstreet.files.hub import check_login, upload_folder
    from mmstreet.predict.image_pipeline import image_paths_of
    from mmstreet.predict.inference import load_trained
    from mmstreet.predict.model_folder import write_model_folder
    from mmstreet.predict.sources import find_sources

    if not args.no_upload:
        check_login()  # before the minutes of an export
    folder = args.folder or Path("work_dirs/push") / args.name.partition("/")[2]
    metrics = _read_metrics(args)
    options = read_cfg_options(args.cfg_options)
    model = load_trained(args.config, args.checkpoint, device="cpu", trust=args.trust_checkpoint, cfg_options=options)
    if model.kind != "semantic":
        raise LaunchError("only semantic models can be pushed; this one finds instances")
    if args.images is None:
        paths = image_paths_of(model.cfg, _CHECK_IMAGES)
    else:
        paths = [source.path for source in find_sources(args.images) if not source.is_video][:_CHECK_IMAGES]
    remarks = write_model_folder(
        model,
        folder,
        name=args.name,
        licence=args.licence,
        images=[model.reading.read(path) for path in paths],
        metrics=metrics,
        data=args.data,
        size_hw=tuple(int(side) for side in reversed(args.size.split("x"))) if args.size else None,
        precision="half" if args.half else "float32",
    )
    if metrics is None:
        remarks.append("no metrics.json of this checkpoint was found: the card has no scores; run mmstreet test first")
    for remark in remarks:
        print(f"note: {remark}")
    print(f"{folder}: {', '.join(sorted(path.name for path in folder.iterdir()))}")
    if not args.no_upload:
        print(f"uploaded to {upload_folder(folder, args.name, private=args.private)}")
    return 0


def _read_metrics(args: argparse.Namespace) -> dict | None:
    """Return what a test of this checkpoint measured; one of another checkpoint is refused if it was named, else left out."""
    from mmstreet.engine.checkpoints import find_checkpoint
    from mmstreet.predict.identity import read_object

    path = args.metrics or folder_of(args.checkpoint) / "test" / "metrics.json"
    found = read_object(path) if path.is_file() else None
    if args.metrics and (found is None or not isinstance(found.get("metrics"), dict)):
        raise LaunchError(f"'{path}' is no metrics.json of mmstreet test")
    if found is None or "://" in args.checkpoint:
        return found
    tested = Path(str(found.get("checkpoint"))).resolve()
    if tested != find_checkpoint(args.checkpoint).resolve():
        if args.metrics:
            raise LaunchError(f"'{path}' holds the scores of '{tested}', not of '{args.checkpoint}'; test this checkpoint first")
        return None
    return found
