"""Train and test the versions of one model at equal epochs and print one table: ``python benchmarks/reproduce.py mini|camvid``.

Every run is the two daily commands, ``mmstreet train`` and ``mmstreet test``; a run whose metrics are already written is not repeated.
The table goes to ``<out>/table.md`` and, as data, to ``<out>/table.json``; ``<out>/report.html`` shows the runs side by side.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from mmstreet.report.page import write_page

ROOT = Path(__file__).parents[1]


@dataclass(frozen=True)
class Suite:
    """Versions to compare, the folder that they read, the classes with a column of their own, and what those columns mean together."""

    configs: tuple[str, ...]
    data: str
    classes: tuple[str, ...]
    mean_of: str


SUITES = {
    "mini": Suite(
        ("deeplabv3_mini_v1", "deeplabv3_mini_v2", "deeplabv3_mini_v2_6cls", "deeplabv3_mini_v3"),
        "data/mini",
        ("bicycle", "motorcycle", "pole", "car", "person", "vegetation"),
        "mean of the six",
    ),
    "camvid": Suite(
        ("deeplabv3_camvid_v1", "deeplabv3_camvid_v2", "deeplabv3_camvid_v3"),
        "data/camvid11",
        ("pole", "signsymbol", "pedestrian", "bicyclist"),
        "mean of the four",
    ),
}


def run_one(config: str, out: Path, options: list[str], train_args: list[str], threads: int) -> dict:
    """Train and test one config in a folder of its own and return its metrics with the training time in minutes."""
    work_dir = out / config
    metrics = work_dir / "test" / "metrics.json"
    timing = work_dir / "train_minutes.json"
    env = {"OMP_WAIT_POLICY": "passive", **os.environ, "OMP_NUM_THREADS": str(threads)}
    if not metrics.exists():
        path = f"configs/{config}.py"
        train = [sys.executable, "-m", "mmstreet", "train", path, "--work-dir", str(work_dir), "--resume", *train_args]
        test = [sys.executable, "-m", "mmstreet", "test", path, str(work_dir), "--out", str(metrics.parent)]
        log = out / f"{config}.log"
        print(f"{config}: training, log in {log}", flush=True)
        started = time.monotonic()
        with log.open("a") as stream:
            for command in (train, test):
                tail = ["--cfg-options", *options] if options else []
                subprocess.run(command + tail, cwd=ROOT, env=env, stdout=stream, stderr=subprocess.STDOUT, check=True)
                if command is train:
                    before = json.loads(timing.read_text()) if timing.exists() else 0  # a resumed run adds up
                    timing.write_text(json.dumps(round(before + (time.monotonic() - started) / 60, 1)))
    return {"config": config, "minutes": json.loads(timing.read_text()), **json.loads(metrics.read_text())["metrics"]}


def table(suite: Suite, rows: list[dict]) -> str:
    """Format the rows as Markdown; a value that could not be measured is n/a."""
    heads = ["config", "pixel acc", "mIoU", *suite.classes, suite.mean_of, "train min"]
    lines = ["| " + " | ".join(heads) + " |", "|---" * len(heads) + "|"]
    for row in rows:
        picked = [row.get(f"IoU/{name}") for name in suite.classes]
        known = [value for value in picked if value is not None]
        mean = sum(known) / len(known) if known else None
        cells = [row["aAcc"], row["mIoU"], *picked, mean]
        shown = ["n/a" if value is None else f"{value:.1f}" for value in cells]
        lines.append("| " + " | ".join([row["config"], *shown, f"{row['minutes']:.0f}"]) + " |")
    return "\n".join(lines)


def main() -> None:
    """Run a suite and write its table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("suite", choices=sorted(SUITES))
    parser.add_argument("--data", type=Path, help="folder of the data set, default: the one that the configs name")
    parser.add_argument("--out", type=Path, help="default: work_dirs/reproduce/<suite>")
    parser.add_argument("--epochs", type=int, help="default: what the configs say")
    parser.add_argument("--only", nargs="+", default=[], metavar="CONFIG", help="train only these versions")
    parser.add_argument("--jobs", type=int, default=2, help="runs side by side; the processor's cores are shared out among them")
    parser.add_argument("--amp", action="store_true", help="train in mixed precision (bfloat16 on CPU)")
    args = parser.parse_args()
    suite = SUITES[args.suite]
    unknown = sorted(set(args.only) - set(suite.configs))
    if unknown:
        parser.error(f"'{unknown[0]}' is not in suite '{args.suite}', which has: {', '.join(suite.configs)}")
    out = (args.out or ROOT / "work_dirs" / "reproduce" / args.suite).resolve()
    out.mkdir(parents=True, exist_ok=True)
    loaders = ("train_dataloader", "val_dataloader", "test_dataloader")
    options = [] if args.data is None else [f"{loader}.dataset.data_root={args.data.resolve()}" for loader in loaders]
    options += [] if args.epochs is None else [f"train_cfg.max_epochs={args.epochs}"]
    configs = [name for name in suite.configs if not args.only or name in args.only]
    threads = max(1, (os.cpu_count() or 1) // args.jobs)
    with ThreadPoolExecutor(args.jobs) as pool:
        rows = list(pool.map(lambda name: run_one(name, out, options, ["--amp"] if args.amp else [], threads), configs))
    text = table(suite, rows)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, {args.jobs} runs side by side, {threads} threads each"
    (out / "table.md").write_text(f"{text}\n\n`{' '.join(['python', *sys.argv])}` on {machine}\n")
    (out / "table.json").write_text(json.dumps({"machine": machine, "argv": sys.argv, "rows": rows}, indent=2))
    print(f"{text}\n\n{write_page([out / name for name in configs], out / 'report.html')}")


if __name__ == "__main__":
    main()
