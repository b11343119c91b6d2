"""``mmstreet train`` and ``tools/train.py``: train a config, on one process or several."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from mmengine.config import DictAction

from mmstreet.engine.errors import TrainingStopped
from mmstreet.engine.launch import LAUNCHERS, build_runner, load_config
from mmstreet.engine.safe_load import safe_loading


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog=prog, description="Train a segmentor or a detector.")
    parser.add_argument("config", help="config file")
    parser.add_argument("--work-dir", help="folder for logs and checkpoints; default: the config's, else work_dirs/<config name>")
    parser.add_argument(
        "--resume",
        nargs="?",
        const=True,
        metavar="CHECKPOINT",
        help="go on from this checkpoint; without a value from the newest complete one in the work dir, or from the start if there is none",
    )
    parser.add_argument("--amp", action="store_true", help="mixed precision: float16 on a GPU, bfloat16 on CPU")
    parser.add_argument(
        "--cfg-options",
        nargs="+",
        action=DictAction,
        metavar="KEY=VALUE",
        help="settings that overrule the config's, e.g. optim_wrapper.optimizer.lr=0.01 'model.decode_head.channels=64'",
    )
    parser.add_argument("--launcher", choices=LAUNCHERS, default="auto", help="who started the processes; auto recognises torchrun")
    parser.add_argument("--local-rank", "--local_rank", type=int, help=argparse.SUPPRESS)  # older launchers pass it
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Run the command and return its exit code."""
    args = parse_args(argv, prog)
    try:
        cfg = load_config(
            args.config,
            work_dir=args.work_dir,
            cfg_options=args.cfg_options,
            launcher=args.launcher,
            resume=args.resume,
            amp=args.amp,
        )
        with safe_loading():
            build_runner(cfg).train()
    except TrainingStopped as stop:
        raise SystemExit(f"training stopped: {stop}") from None
    return 0
