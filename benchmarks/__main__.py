"""Run every benchmark and print one table of ratios: ``python -m benchmarks [--quick] [--repeat N] [--out FILE] [NAME ...]``."""

import argparse
import importlib
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmstreet.evaluation.run_record import describe_machine
from mmstreet.files.tables import markdown_table

COLUMNS = {"benchmark": 12, "measured": 64, "value": 9, "lowest–highest": 15, "unit": 8, "target": 10, "before": 9, "note": 0}


def merge_runs(runs: Sequence[Sequence[Mapping]]) -> list[dict]:
    """Join the rows of several runs of one benchmark by name: the median of the values and, of more than one, lowest and highest."""
    found: dict[str, list[Mapping]] = {}
    for row in (row for run in runs for row in run):
        found.setdefault(row["name"], []).append(row)
    merged = []
    for same in found.values():
        values = [row["value"] for row in same]
        spread = f"{min(values):.3g}–{max(values):.3g}" if len(values) > 1 else ""
        merged.append({**same[0], "value": statistics.median(values), "spread": spread})
    return merged


def cells_of(name: str, row: Mapping) -> list[str]:
    """Lay out a row under :data:`COLUMNS`."""
    before = f"{row['before']:.3g}" if row.get("before") is not None else ""
    texts = [row["name"], f"{row['value']:.3g}", row["spread"], row["unit"], str(row.get("target") or ""), before, row.get("note") or ""]
    return [name, *texts]


def main() -> None:
    """Run the chosen ``bench_*.py`` files.

    Each has ``run(quick) -> rows`` of name, value, unit and, where there are any, target, note, and ``before``, the value before it was
    worked on.
    """
    found = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"benchmarks to run, default all: {', '.join(found)}")
    parser.add_argument("--quick", action="store_true", help="small inputs and few repeats: shows that it runs, not how fast")
    parser.add_argument("--repeat", type=int, default=1, metavar="N", help="run each N times: median, lowest and highest (default 1)")
    parser.add_argument("--out", type=Path, metavar="FILE", help="also write the table as markdown, with the machine and the command")
    args = parser.parse_args()
    unknown = sorted(set(args.names) - set(found))
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; there are: {', '.join(found)}")
    if args.repeat < 1:
        parser.error(f"--repeat needs a number from 1, got {args.repeat}")
    lines = []
    print(" ".join(title.ljust(width) for title, width in COLUMNS.items()))
    for name in args.names or found:
        run = importlib.import_module(f"benchmarks.bench_{name}").run
        for row in merge_runs([run(quick=args.quick) for _ in range(args.repeat)]):
            lines.append(cells_of(name, row))
            print(" ".join(text.ljust(width) for text, width in zip(lines[-1], COLUMNS.values())), flush=True)
    if args.out:
        machine = ", ".join(f"{key} {value}" for key, value in describe_machine().items())
        command = " ".join(["python -m benchmarks", *sys.argv[1:]])
        args.out.write_text(f"{markdown_table(list(COLUMNS), lines)}\n\n`{command}`: {machine}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
