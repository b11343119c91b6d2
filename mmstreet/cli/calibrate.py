"""``mmstreet calibrate``: fit the temperature that makes a model's confidence mean something."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmstreet.cli.arguments import CommandParser, add_cfg_options, add_loading, add_model, add_processes, read_cfg_options, settle_data
from mmstreet.files.split_names import SPLITS


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog,
        description="Fit a temperature on one split, measure calibration on another, and store it beside the checkpoint. "
        "No prediction changes.",
    )
    add_model(parser)
    parser.add_argument("--split", choices=SPLITS, default="val", help="fit on this split, one that was not trained on (default: val)")
    parser.add_argument("--check", choices=SPLITS, help="measure on this other split; default: none")
    parser.add_argument("--work-dir", help="folder for logs; default: the config's, else work_dirs/<config name>")
    add_loading(parser)
    add_cfg_options(parser)
    add_processes(parser)
    args = parser.parse_args(argv)
    settle_data(parser, args)
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return its exit code."""
    args = parse_args(argv, prog)
    from mmstreet.engine.launch import load_config
    from mmstreet.engine.safe_load import safe_loading
    from mmstreet.evaluation.calibration import calibrate

    cfg = load_config(
        args.config,
        work_dir=args.work_dir,
        cfg_options=read_cfg_options(args.cfg_options),
        launcher=args.launcher,
        load_from=args.checkpoint,
        batch_size=args.batch_size,
        loader="test_dataloader",
        data=args.data,
    )
    with safe_loading():
        calibrate(cfg, split=args.split, check=args.check)
    return 0
