"""``mmstreet carb-curves``: how CARB's regions behave over a training."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog, description="Plot the regions of a CARB training: their losses, their areas, and the factor between them."
    )
    parser.add_argument("work_dir", type=Path, metavar="WORK_DIR", help="folder of the run")
    parser.add_argument("--out", type=Path, help="the PNG; default: balance.png in that folder")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Write the plot."""
    args = parse_args(argv, prog)
    from mmstreet.report.balance_plot import plot_balance

    print(f"plot in {plot_balance(args.work_dir, args.out or args.work_dir / 'balance.png')}")
    return 0
