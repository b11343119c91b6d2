"""Draw how CARB's regions behave over a training: their losses, their areas, and the factor between them.

python tools/plot_carb.py work_dirs/carb_cityscapes --out balance.png
"""

import argparse
from pathlib import Path

from mmstreet.report.balance_plot import plot_balance


def main(argv: list[str] | None = None) -> None:
    """Read the logs of a run, write the PNG."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work_dir", type=Path, help="folder of the run")
    parser.add_argument("--out", type=Path, help="the PNG (default: balance.png in that folder)")
    args = parser.parse_args(argv)
    try:
        print(f"plot in {plot_balance(args.work_dir, args.out or args.work_dir / 'balance.png')}")
    except ValueError as error:
        parser.exit(1, f"plot_carb: {error}\n")


if __name__ == "__main__":
    main()
