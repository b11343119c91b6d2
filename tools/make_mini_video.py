"""Draw a drive down a generated street as a video: python tools/make_mini_video.py OUT.mp4 [--index 2] [--seconds 6]."""

import argparse

from tqdm import tqdm

from mmstreet.mini.drive import render_drive
from mmstreet.mini.writer import parse_size
from mmstreet.predict.video import open_video


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Draw a drive down a street of the mini set, to try video prediction with.")
    parser.add_argument("out", metavar="OUT.mp4", help="the video")
    parser.add_argument("--index", type=int, default=0, help="number of the scene (default: 0)")
    parser.add_argument("--seed", type=int, default=0, help="the same seed gives the same frames (default: 0)")
    parser.add_argument("--seconds", type=float, default=6.0, help="length (default: 6)")
    parser.add_argument("--fps", type=float, default=10.0, help="frames per second (default: 10)")
    parser.add_argument("--speed", type=float, default=3.0, help="metres per second (default: 3)")
    parser.add_argument("--size", default="640x360", help="WIDTHxHEIGHT in pixels (default: 640x360)")
    return parser.parse_args()


def main() -> None:
    args = parse_args()
    try:
        frames = max(1, round(args.seconds * args.fps))
        drive = render_drive(
            seed=args.seed, index=args.index, frames=frames, speed_mps=args.speed, fps=args.fps, size_wh=parse_size(args.size)
        )
        with open_video(args.out, fps=args.fps) as video:
            for picture in tqdm(drive, total=frames, unit="frame"):
                video.write(picture.image)
    except (OSError, ValueError) as error:
        raise SystemExit(f"make_mini_video: {error}") from None
    print(f"{frames} frames of {args.size} in {args.out}")


if __name__ == "__main__":
    main()
