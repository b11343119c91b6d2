"""Run every benchmark and print one table of ratios: ``python -m benchmarks [--quick] [NAME ...]``."""

import argparse
import importlib
from pathlib import Path


def main() -> None:
    """Run the chosen ``bench_*.py`` files; each has ``run(quick) -> rows`` of name, value, unit, target and note."""
    found = sorted(path.stem.removeprefix("bench_") for path in Path(__file__).parent.glob("bench_*.py"))
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"benchmarks to run, default all: {', '.join(found)}")
    parser.add_argument("--quick", action="store_true", help="small inputs and few repeats: shows that it runs, not how fast")
    args = parser.parse_args()
    unknown = sorted(set(args.names) - set(found))
    if unknown:
        parser.error(f"unknown benchmark {unknown[0]!r}; there are: {', '.join(found)}")
    print(f"{'benchmark':<12} {'measured':<64} {'value':>9} {'unit':<8} {'target':<10} note")
    for name in args.names or found:
        for row in importlib.import_module(f"benchmarks.bench_{name}").run(quick=args.quick):
            target = row.get("target") or ""
            print(f"{name:<12} {row['name']:<64} {row['value']:>9.3g} {row['unit']:<8} {target!s:<10} {row.get('note') or ''}", flush=True)


if __name__ == "__main__":
    main()
