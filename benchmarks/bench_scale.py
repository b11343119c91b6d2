"""What large jobs cost beside the network: processor time, memory and opened records at two sizes, and what that makes at 100,000 images.

Every image is a hard link to one of a few small pictures, so that what grows with the number of files is what is measured. Each run is a
process of its own; ``predict`` has a network that answers at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

HW = (48, 64)
LARGE = 100_000
CLASSES = ("road", "car", "sky")


def run(quick: bool = False) -> list[dict]:
    """Measure ``verify``, ``convert`` and ``predict`` at two sizes."""
    small, large = (100, 400) if quick else (1000, 10_000)
    with tempfile.TemporaryDirectory() as folder:
        found = {count: _measure_all(Path(folder) / str(count), count) for count in (small, large)}
    rows = []
    for name in found[small]:
        seconds, mib, opens = zip(*(found[count][name] for count in (small, large)))
        per_image = (seconds[1] - seconds[0]) / (large - small)
        growth = (mib[1] - mib[0]) / (large - small)
        at_large = (
            f"{LARGE:,} images: {(seconds[0] + per_image * (LARGE - small)) / 60:.1f} min, {mib[0] + growth * (LARGE - small):.0f} MiB"
        )
        note = f"{small} to {large} images: {seconds[0]:.1f} to {seconds[1]:.1f} s, {mib[0]:.0f} to {mib[1]:.0f} MiB; {at_large}"
        if opens[1]:
            note += f"; {opens[1] / large:.2f} records opened per image"
        rows.append({"name": name, "value": 1000 * per_image, "unit": "ms/image", "note": note})
    return rows


def _measure_all(folder: Path, count: int) -> dict[str, tuple[float, float, int]]:
    _write_set(folder, count)
    return {
        "verify, one process": _measure("verify", folder),
        "convert label maps to COCO, one process": _measure("convert", folder),
        "predict without a network, one process": _measure("predict", folder),
        "predict again, all finished": _measure("predict", folder),
        "predict as the only one of a job": _measure("predict", folder, MMSTREET_JOB="bench"),
    }


def _write_set(folder: Path, count: int) -> None:
    generator = np.random.default_rng(0)
    for kind in ("images", "labels"):
        (folder / kind / "train").mkdir(parents=True)
    for i in range(4):
        Image.fromarray(generator.integers(0, 255, (*HW, 3), np.uint8)).save(folder / f"{i}.jpg")
        Image.fromarray(np.repeat(generator.permutation(3), HW[0] // 3)[:, None].repeat(HW[1], 1).astype(np.uint8)).save(
            folder / f"{i}.png"
        )
    for i in range(count):
        os.link(folder / f"{i % 4}.jpg", folder / f"images/train/{i:06d}.jpg")
        os.link(folder / f"{i % 4}.png", folder / f"labels/train/{i:06d}.png")
    layout = {"image_dir": "images", "label_dir": "labels", "image_suffix": ".jpg", "label_suffix": ".png"}
    content = {"root": ".", "layout": layout, "splits": {"train": "train"}, "classes": list(CLASSES)}
    (folder / "data.yaml").write_text(json.dumps(content))  # JSON is YAML too


def _measure(kind: str, folder: Path, **environ: str) -> tuple[float, float, int]:
    """Return processor seconds, greatest memory in MiB and opened records of a run in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.bench_scale", kind, str(folder)]
    done = subprocess.run(command, env={**os.environ, **environ}, capture_output=True, text=True, check=True)
    return tuple(json.loads(done.stdout.splitlines()[-1]))


def _verify(folder: Path) -> None:
    from mmstreet.datasets.inventory import inventories_of_data
    from mmstreet.datasets.verify import verify

    assert verify(*inventories_of_data(folder / "data.yaml"), workers=1, progress=False)["ok"]


def _convert(folder: Path) -> None:
    from mmstreet.datasets.data_reader import DataReader
    from mmstreet.formats.coco import CocoWriter
    from mmstreet.formats.convert import convert

    table = DataReader.find_table(folder / "data.yaml")
    report = convert(DataReader(folder / "data.yaml", table), CocoWriter(folder / "coco.json", table), workers=1, progress=False)
    assert report.images_out > 0


def _predict(folder: Path) -> None:
    from mmstreet.predict.chunks import work_through
    from mmstreet.predict.folder import PredictionFolder
    from mmstreet.predict.job import Outcome
    from mmstreet.predict.result import Result
    from mmstreet.predict.sources import find_sources

    results = PredictionFolder(folder / "out", {"model": "none"}, overlays=False)
    image, labels = np.zeros((*HW, 3), np.uint8), np.zeros(HW, np.uint8)
    result = Result(labels, CLASSES, np.eye(3, dtype=np.uint8) * 200)

    def do(sources: list, _: int) -> Outcome:
        for source in sources:
            results.write_image(source, image, result)
        return Outcome(done=len(sources))

    sources = find_sources(folder / "images")
    assert work_through(sources, results, do, progress=False).summary["pending"] == 0


KINDS: dict[str, Callable[[Path], None]] = {"verify": _verify, "convert": _convert, "predict": _predict}


def main() -> None:
    """Run one kind, and print what it took."""
    import resource
    import time

    opened = 0

    def count(event: str, arguments: tuple) -> None:
        nonlocal opened
        if event == "open" and arguments[1] in ("r", "rb") and f"{os.sep}records{os.sep}" in str(arguments[0]):
            opened += 1

    sys.addaudithook(count)
    kind, folder = sys.argv[1:]
    KINDS[kind](Path(folder))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(json.dumps([time.process_time(), peak, opened]))


if __name__ == "__main__":
    main()
