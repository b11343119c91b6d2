"""``mmstreet export``: write a model as ONNX or TorchScript, checked against PyTorch on real images before the file is kept."""

from __future__ import annotations

import argparse
import re
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser, add_cfg_options, add_model, folder_of, read_cfg_options
from mmstreet.engine.errors import LaunchError

_CHECK_IMAGES = 4
_CALIBRATION_IMAGES = 32
_SUFFIXES = {"onnx": ".onnx", "torchscript": ".torchscript"}


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(prog=prog, description="Write a segmentor as one file that runs without OpenMMLab.")
    add_model(parser)
    parser.add_argument("--format", choices=sorted(_SUFFIXES), default="onnx", help="default: onnx")
    parser.add_argument("--out", "-o", help="the file; default: beside the checkpoint, with the name of the config")
    parser.add_argument("--images", help="image, folder or pattern to check the file with; default: the config's test set")
    parser.add_argument("--count", type=int, default=_CHECK_IMAGES, help=f"images to check with (default: {_CHECK_IMAGES})")
    precision = parser.add_mutually_exclusive_group()
    precision.add_argument("--half", action="store_true", help="store the weights of an ONNX file as float16: half the size")
    precision.add_argument("--int8", action="store_true", help="quantise an ONNX file to 8 bits: a quarter of the size, less exact")
    parser.add_argument("--calibration", help="with --int8: images that show the ranges; default: 32 of the config's training set")
    parser.add_argument("--size", metavar="WxH", help="the only input size that the file takes; default: any size")
    parser.add_argument("--opset", type=int, help="version of ONNX's operators; default: the one that is tested")
    parser.add_argument("--trust-checkpoint", action="store_true", help="read a checkpoint that may run code; only for files of your own")
    add_cfg_options(parser)
    args = parser.parse_args(argv)
    if args.size is not None and not re.fullmatch(r"[1-9]\d*x[1-9]\d*", args.size):
        parser.error(f"--size must be WIDTHxHEIGHT in pixels, e.g. 640x360, not '{args.size}'")
    if args.count < 1:
        parser.error(f"--count must be 1 or more, not {args.count}: a file is not kept unchecked")
    if args.calibration and not args.int8:
        parser.error("--calibration goes with --int8")
    if (args.half or args.int8) and args.format != "onnx":
        parser.error("--half and --int8 go with --format onnx")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return its exit code: 0, or 1 if no file was written."""
    args = parse_args(argv, prog)
    suffix = _SUFFIXES[args.format]
    out = Path(args.out) if args.out else folder_of(args.checkpoint) / (Path(args.config).stem + suffix)
    if out.suffix.lower() != suffix:
        raise LaunchError(f"--out '{out}' must end with {suffix} for --format {args.format}")
    from mmstreet.files.atomic import check_target
    from mmstreet.predict.export import OPSET, export_model
    from mmstreet.predict.image_pipeline import image_paths_of
    from mmstreet.predict.inference import load_trained
    from mmstreet.predict.sources import find_sources

    check_target(out)
    options = read_cfg_options(args.cfg_options)
    model = load_trained(args.config, args.checkpoint, device="cpu", trust=args.trust_checkpoint, cfg_options=options)
    if args.images is None:
        paths = image_paths_of(model.cfg, args.count)
    else:
        paths = [source.path for source in find_sources(args.images) if not source.is_video]
    calibration = []
    if args.int8 and args.calibration is None:
        calibration = image_paths_of(model.cfg, _CALIBRATION_IMAGES, part="train")
    elif args.int8:
        calibration = [source.path for source in find_sources(args.calibration) if not source.is_video][:_CALIBRATION_IMAGES]
    size_hw = tuple(int(side) for side in reversed(args.size.split("x"))) if args.size else None
    images = [model.reading.read(path) for path in paths[: args.count]]
    parity = export_model(
        model,
        images,
        out,
        size_hw=size_hw,
        opset=args.opset or OPSET,
        precision="half" if args.half else "int8" if args.int8 else "float32",
        calibration=[model.reading.read(path) for path in calibration],
    )
    sizes = ", ".join("x".join(map(str, shape)) for shape in dict.fromkeys(parity.inputs))
    print(
        f"{out} ({out.stat().st_size / 2**20:.1f} MiB, {parity.precision}): {parity.images} images as inputs of {sizes}: "
        f"logits differ by at most {parity.logits_difference:.2g} (largest {parity.logits_largest:.3g}), "
        f"{100 * parity.labels_equal:.4f} % of labels are equal"
    )
    return 0
