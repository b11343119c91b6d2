"""``mmstreet doctor``: check this installation."""

from __future__ import annotations

import argparse
import contextlib
import json
import sys
from collections.abc import Sequence

from mmstreet.cli.arguments import CommandParser


def parse_args(argv: Sequence[str] | None, prog: str | None) -> argparse.Namespace:
    """Read the command line."""
    parser = CommandParser(
        prog=prog,
        description="Check this installation: versions, clashes, compiled ops, extras, and one short run per task. "
        "Exit code 1 if training cannot work.",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--offline", action="store_true", help="do not look in the network for a compiled mmcv that fits")
    return parser.parse_args(argv)


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """Print the findings as a table or as JSON."""
    args = parse_args(argv, prog)
    from mmstreet.engine.installation import as_json, examine, training_works

    with contextlib.redirect_stdout(sys.stderr):  # some frameworks print while they are imported
        findings = examine(look_up=not args.offline)
    if args.json:
        print(json.dumps(as_json(findings), indent=2))
    else:
        for finding in findings:
            print(f"{finding.level:<5} {finding.check:<22} {finding.detail}")
        partly = any(finding.check == "instance task" and finding.level != "ok" for finding in findings)
        works = "training works" + (" for semantic segmentation; for instances mend 'instance task'" if partly else "")
        print(works if training_works(findings) else "training cannot work: mend the lines marked 'fail'")
    return 0 if training_works(findings) else 1
