"""``mmstreet mini-video``: write a drive down a generated street as a video, to try video prediction with."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmstreet.cli.arguments import CommandParser, add_scene


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(prog=prog, description="Write a drive down a street of the mini set, to try video prediction with.")
    parser.add_argument("out", metavar="OUT.mp4", help="the video")
    parser.add_argument("--index", type=int, default=0, help="number of the scene (default: 0)")
    parser.add_argument("--seconds", type=float, default=6.0, help="length (default: 6)")
    parser.add_argument("--fps", type=float, default=10.0, help="frames per second (default: 10)")
    parser.add_argument("--speed", type=float, default=3.0, help="metres per second (default: 3)")
    add_scene(parser)
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Write the video."""
    args = parse_args(argv, prog)
    from tqdm import tqdm

    from mmstreet.mini.drive import render_drive
    from mmstreet.mini.writer import parse_size
    from mmstreet.predict.video import open_video

    frames = max(1, round(args.seconds * args.fps))
    drive = render_drive(seed=args.seed, index=args.index, frames=frames, speed_mps=args.speed, fps=args.fps, size_wh=parse_size(args.size))
    with open_video(args.out, fps=args.fps) as video:
        for picture in tqdm(drive, total=frames, unit="frame", disable=None):
            video.write(picture.image)
    print(f"{frames} frames of {args.size} in {args.out}")
    return 0
