"""``mmstreet demo``: the model of the package on generated scenes and on own photographs, then fine-tuned, before and after."""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser
from mmstreet.engine.errors import LaunchError

CONFIG = "street_mini"


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog,
        description="Draw street scenes, predict them and your own photographs with the model of the package, fine-tune it on the scenes "
        "for about two minutes, and show before and after.",
    )
    parser.add_argument("photos", nargs="?", help="image, folder or video of your own, predicted too")
    parser.add_argument("--out", default="work_dirs/demo", help="folder for everything (default: work_dirs/demo)")
    parser.add_argument("--data", default="data/mini", help="folder of the scenes, written where they are not yet (default: data/mini)")
    parser.add_argument("--epochs", type=int, default=6, help="passes over the 160 scenes (default: 6)")
    parser.add_argument("--shown", type=int, default=4, help="scenes in the picture of before and after (default: 4)")
    args = parser.parse_args(argv)
    for name in ("epochs", "shown"):
        if getattr(args, name) < 1:
            parser.error(f"--{name} must be 1 or more, not {getattr(args, name)}")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the steps, each as the command that a user would type, and return the first exit code that is not 0."""
    args = parse_args(argv, prog)
    if args.photos and not Path(args.photos).exists():
        raise LaunchError(f"there is no '{args.photos}' to predict; name an image, a folder or a video, or leave it out")
    from mmstreet.files.atomic import write_text
    from mmstreet.report.side_by_side import write_side_by_side

    out, data = Path(args.out), Path(args.data)
    scenes = data / "images" / "10k" / "val"
    steps = [] if scenes.is_dir() else [["mini", str(data)]]
    steps += [["predict", args.photos, "--out", str(out / "photos")]] if args.photos else []
    for step in steps:
        if code := _run(step):
            return code
    shown = sorted(scenes.glob("*.jpg"))[: args.shown]
    if not shown:
        raise LaunchError(f"'{data}' is no mini set: it has no pictures in {scenes}; name another folder with --data")
    listed = str(write_text("".join(f"{path.resolve()}\n" for path in shown), out / "scenes.txt"))
    steps = [
        ["predict", listed, "--out", str(out / "before")],
        ["train", CONFIG, "--data", str(data), "--work-dir", str(out), "--epochs", str(args.epochs), "--resume"],
        ["test", CONFIG, str(out), "--data", str(data), "--work-dir", str(out), "--safety"],
        ["predict", "--config", CONFIG, "--checkpoint", str(out), listed, "--out", str(out / "after")],
    ]
    for step in steps:
        if code := _run(step):
            return code
    overlays = [[out / when / "overlays" / path.name for when in ("before", "after")] for path in shown]
    rows = [[path, *pair] for path, pair in zip(shown, overlays, strict=True)]
    titles = ("scene", "the model of the package, 11 classes", f"after {args.epochs} epochs here, 19 classes")
    print(f"before and after: {write_side_by_side(rows, titles, out / 'before_after.jpg')}")
    if args.photos:
        print(f"your own pictures: {out / 'photos' / 'overlays'}")
    print(f"scores, pictures and curves on one page: {out / 'report.html'}")
    return 0


def _run(step: Sequence[str]) -> int:
    print(f"$ mmstreet {' '.join(step)}", flush=True)
    return subprocess.call([sys.executable, "-m", "mmstreet", *step])
