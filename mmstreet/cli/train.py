"""``mmstreet train``: train a config, on one process or several."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmstreet.cli.arguments import CommandParser, add_cfg_options, add_loading, add_processes, add_speed, read_cfg_options, settle_data
from mmstreet.cli.on_ray import add_ray_size

if TYPE_CHECKING:
    from mmengine.config import Config


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(prog=prog, description="Train a segmentor or a detector.")
    parser.add_argument("config", help="config file, or a name such as deeplabv3_bdd_v3")
    parser.add_argument(
        "--then",
        action="append",
        default=[],
        metavar="CONFIG",
        help="a further stage, trained after the one before it and from its newest checkpoint; may be given again",
    )
    parser.add_argument(
        "--work-dir",
        help="folder for logs and checkpoints; default: the config's, else work_dirs/<config name>; with --then a folder of such folders",
    )
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        metavar="CHECKPOINT",
        help="go on from this checkpoint; without a value from the newest complete one in the work dir, or from the start if there is none",
    )
    length = parser.add_mutually_exclusive_group()
    length.add_argument(
        "--epochs", type=int, metavar="N", help="length of the run in epochs, in all; with --resume to train longer than before"
    )
    length.add_argument("--iters", type=int, metavar="N", help="the same for a config that counts iterations")
    parser.add_argument(
        "--schedule",
        choices=("stretch", "restart"),
        help="how the learning rate of a resumed run goes on when its length has changed: along the curve of the longer run (stretch, the "
        "default), or from the beginning for what is left (restart)",
    )
    parser.add_argument("--lr", type=float, metavar="RATE", help="learning rate; what its schedule ends with changes in proportion")
    add_loading(parser)
    add_speed(parser)
    parser.add_argument(
        "--ema",
        nargs="?",
        const=0.002,
        type=float,
        metavar="MOMENTUM",
        help="validate and save a mean of the weights over the last tenth of the iterations, 1 / MOMENTUM at most; default 0.002",
    )
    parser.add_argument(
        "--log",
        action="append",
        default=[],
        choices=("tensorboard", "wandb", "mlflow"),
        help="also log to TensorBoard, Weights & Biases or MLflow; may be given again",
    )
    add_cfg_options(parser)
    add_processes(parser)
    add_ray_size(parser)
    args = parser.parse_intermixed_args(argv)
    settle_data(parser, args)
    if args.then and isinstance(args.resume, str):
        parser.error(f"--resume '{args.resume}' does not say which stage it belongs to; give --resume alone and every stage finds its own")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return its exit code."""
    args = parse_args(argv, prog)
    from mmengine.dist import is_main_process

    from mmstreet.cli.progress import format_end, shown_progress
    from mmstreet.cli.report import show_run
    from mmstreet.engine.data_workers import data_workers
    from mmstreet.engine.launch import build_runner
    from mmstreet.engine.run_options import check_steps
    from mmstreet.engine.safe_load import safe_loading
    from mmstreet.engine.work_dir_claim import claimed
    from mmstreet.evaluation.run_record import command_line, recorded
    from mmstreet.evaluation.testing import write_validation
    from mmstreet.files.contained import path_inside

    with safe_loading():
        before = None
        for path in (args.config, *args.then):
            cfg = _load_stage(args, Path(path), before)
            validation = path_inside(cfg.work_dir, "validation")
            runner = build_runner(cfg)
            check_steps(runner)
            began, progress = time.monotonic(), shown_progress(runner, shown=not (args.verbose or args.debug))
            record = recorded(cfg, command_line(argv, prog), kind="train", folder=cfg.work_dir)
            with claimed(cfg.work_dir), record, progress, data_workers(runner):
                runner.train()
                if is_main_process():
                    write_validation(runner, out=validation)
            if is_main_process():
                print(format_end(runner, time.monotonic() - began))
                show_run(cfg.work_dir)
            before = cfg
    return 0


def _load_stage(args: argparse.Namespace, path: Path, before: Config | None) -> Config:
    """Load the config of a stage; what a run has itself, ``--resume`` prefers to the weights of the stage before."""
    from mmengine.dist import barrier

    from mmstreet.engine.launch import load_config

    barrier()  # the main process may still be writing the checkpoint that the others look for
    work_dir = Path(args.work_dir) / path.stem if args.then and args.work_dir else args.work_dir
    cfg = load_config(
        path,
        work_dir=work_dir,
        cfg_options=read_cfg_options(args.cfg_options),
        launcher=args.launcher,
        resume=args.resume,
        amp=args.amp,
        channels_last=args.channels_last,
        compiled=args.compile,
        load_from=before and before.work_dir,
        epochs=args.epochs,
        iters=args.iters,
        schedule=args.schedule,
        ema=args.ema,
        lr=args.lr,
        logs=args.log,
        batch_size=args.batch_size,
        data=args.data,
    )
    if before is not None and "visualizer" in cfg:
        cfg.visualizer.name = path.stem  # mmengine keeps one of each name, with the folder of the stage before
    return cfg
