"""The table of hostile inputs, ``python -m tests.hostile [--seed N] [WORD ...]``; exit code 1 if any ended otherwise than it should."""

import argparse
import logging
import sys
import tempfile
from pathlib import Path

from tests.hostile.kinds import count, find_kinds


def main() -> int:
    """Print one line per kind, then the failures."""
    parser = argparse.ArgumentParser(prog="python -m tests.hostile", description="Try damaged, foreign and malicious inputs, and count.")
    parser.add_argument("words", nargs="*", metavar="WORD", help="only the kinds whose name has one of these words")
    parser.add_argument("--seed", type=int, default=0, help="seed of the inputs (default: 0)")
    args = parser.parse_args()
    logging.disable(logging.CRITICAL)
    kinds = [kind for kind in find_kinds().values() if not args.words or any(word in kind.name for word in args.words)]
    width = max((len(kind.name) for kind in kinds), default=4)
    print(f"{'kind':<{width}}   tried  result  sentence  failure", flush=True)
    failures = []
    for kind in sorted(kinds, key=lambda kind: kind.name):
        with tempfile.TemporaryDirectory() as folder:
            found = count(kind, Path(folder), seed=args.seed)
        print(f"{kind.name:<{width}}  {found.tried:6d}  {found.results:6d}  {found.sentences:8d}  {len(found.failures):7d}", flush=True)
        failures += [f"{kind.name}: {failure}" for failure in found.failures]
    print("\n".join(failures), end="\n" if failures else "")
    return bool(failures)


if __name__ == "__main__":
    sys.exit(main())
