"""``mmstreet report``: one HTML page per run, or several runs side by side."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Sequence
from pathlib import Path

from mmstreet.cli.arguments import CommandParser


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog,
        description="Write one self-contained HTML page about a run: curves, scores per class, confusion, images, config, machine. "
        "Several work dirs are put side by side, with differences against the first.",
    )
    parser.add_argument("work_dirs", nargs="+", metavar="WORK_DIR", help="folder of a run, as training or testing left it")
    parser.add_argument("--out", help="the page; default: report.html in the work dir, or beside the first of several")
    parser.add_argument("--names", nargs="+", metavar="NAME", help="what to call the runs; default: the names of their folders")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Write the page and return the exit code."""
    args = parse_args(argv, prog)
    from mmstreet.report.page import write_page

    first = Path(args.work_dirs[0])
    out = args.out or (first if len(args.work_dirs) == 1 else first.resolve().parent) / "report.html"
    print(f"written: {write_page(args.work_dirs, out, names=args.names)}")
    return 0


def show_run(folder: str | Path) -> None:
    """Write the page of a run that has just ended, ``report.html``. A failure is logged and not raised."""
    import jinja2
    from mmengine.logging import print_log

    from mmstreet.report.page import write_page

    try:
        print_log(f"page of the run: {write_page([folder], Path(folder) / 'report.html')}", logger="current")
    except (OSError, ValueError, jinja2.TemplateError) as error:
        print_log(f"the page of the run was not written: {error}", logger="current", level=logging.WARNING)
