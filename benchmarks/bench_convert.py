"""Bitmasks to COCO: our converter beside the procedure that BDD100K's toolkit describes for the same job; polygons beside pycocotools.

The other side is written here in the steps that the toolkit takes when it has bitmasks only: join the four channels to one
number per pixel, find the numbers that occur, and for each compare the whole picture with it, take box and area of that
mask, encode it with pycocotools and take box and area again from the code. Both sides read the same files, use two
processes and write one JSON file; the annotations are compared before anything is timed.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from multiprocessing import Pool
from pathlib import Path

import numpy as np
from PIL import Image

from mmstreet.deps import require
from mmstreet.formats.bitmask import BitmaskReader, write_bitmask
from mmstreet.formats.bitmask_codec import encode_bitmask
from mmstreet.formats.coco import CocoWriter
from mmstreet.formats.convert import convert
from mmstreet.formats.poly2d import counts_from_polygons
from mmstreet.formats.scalabel_labels import parse_poly2d

SIZE_HW = (720, 1280)
INSTANCES = 18
"""Per image; a published report on BDD100K counts 17.78."""
PROCESSES = 2
DRAWN = 24
"""Different bitmasks in a split."""


def write_split(root: Path, number: int) -> None:
    """Write bitmasks of road size with elliptic instances in the lower two thirds of the picture, the first few over and over."""
    rng = np.random.default_rng(0)
    root.mkdir()
    y, x = np.mgrid[: SIZE_HW[0], : SIZE_HW[1]]
    for index in range(min(number, DRAWN)):
        owner = np.zeros(SIZE_HW, np.int32)
        for row in range(1, INSTANCES + 1):
            height = rng.lognormal(3.4, 0.8)
            centre_y, centre_x = rng.uniform(280, 650), rng.uniform(0, SIZE_HW[1])
            ripple = 1 + 0.1 * np.sin(x / 3) * np.cos(y / 4)  # polygons as ragged as hand-drawn ones
            owner[((y - centre_y) / height) ** 2 + ((x - centre_x) / (1.5 * height)) ** 2 < ripple] = row
        rgba = encode_bitmask(owner, rng.integers(1, 9, INSTANCES), np.arange(1, INSTANCES + 1), occluded=rng.random(INSTANCES) < 0.5)
        write_bitmask(root / f"{index:05d}.png", rgba)
    for index in range(DRAWN, number):
        shutil.copy(root / f"{index % DRAWN:05d}.png", root / f"{index:05d}.png")


def documented_annotations(path: str) -> list[dict]:
    """Convert one bitmask in the toolkit's steps: instances with full-size masks, boxes and areas first, COCO entries from these."""
    coding = require("pycocotools.mask", extra="instances")
    bitmask = np.asarray(Image.open(path)).astype(np.int32)
    identity = (bitmask[..., 0] << 24) + (bitmask[..., 1] << 16) + (bitmask[..., 2] << 8) + bitmask[..., 3]
    instances = []
    for value in np.unique(identity):
        if value >> 24 == 0:
            continue
        mask = np.equal(identity, value)
        columns, rows = np.nonzero(np.sum(mask, axis=0))[0], np.nonzero(np.sum(mask, axis=1))[0]
        bbox = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
        instances.append({"value": int(value), "mask": mask, "bbox": bbox, "area": np.sum(mask)})
    annotations = []
    for instance in sorted(instances, key=lambda instance: instance["value"] & 0xFFFF):
        if not instance["mask"].sum():
            continue
        rle = coding.encode(np.array(instance["mask"][:, :, None], order="F", dtype="uint8"))[0]
        annotations.append(
            {
                "category_id": instance["value"] >> 24,
                "bbox": coding.toBbox(rle).tolist(),
                "area": int(coding.area(rle)),
                "iscrowd": int(bool(instance["value"] >> 16 & 3)),
                "scalabel_id": str(instance["value"] & 0xFFFF),
                "segmentation": {"size": list(rle["size"]), "counts": rle["counts"].decode()},
            }
        )
    return annotations


def convert_as_documented(root: Path, out: Path) -> None:
    """Convert a folder in two processes, everything held in memory until it is written."""
    paths = sorted(map(str, root.glob("*.png")))
    with Pool(PROCESSES) as pool:
        converted = pool.map(documented_annotations, paths)
    coco = {"images": [], "annotations": []}
    for image_id, (path, found) in enumerate(zip(paths, converted), start=1):
        coco["images"].append({"id": image_id, "file_name": f"{Path(path).stem}.jpg"})
        coco["annotations"] += [{"id": len(coco["annotations"]) + i, "image_id": image_id, **x} for i, x in enumerate(found, start=1)]
    out.write_text(json.dumps(coco))


def convert_ours(root: Path, out: Path, processes: int = PROCESSES) -> None:
    """Convert a folder with mmstreet."""
    convert(BitmaskReader(root), CocoWriter(out), workers=processes, progress=False)


def same_annotations(ours: Path, theirs: Path) -> bool:
    """Whether both files hold the same instances."""
    first, second = (json.loads(path.read_text())["annotations"] for path in (ours, theirs))
    return len(first) == len(second) and all({key: a[key] for key in b} == b for a, b in zip(first, second))


def processor_seconds() -> float:
    """Processor time of this process and of its children that have ended; other work on the machine hardly touches it."""
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def peak_memory_mib(root: Path, out: Path) -> float:
    """Peak resident memory of a fresh process that converts a folder by itself (Linux only)."""
    code = (
        "import re; from pathlib import Path; from benchmarks.bench_convert import convert_ours;"
        f"convert_ours(Path({str(root)!r}), Path({str(out)!r}), processes=1);"
        "print(re.search(r'VmHWM:\\s+(\\d+)', Path('/proc/self/status').read_text()).group(1))"
    )
    return int(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout) / 1024


def time_polygons(quick: bool) -> list[dict]:
    """Turn polygons into run lengths beside pycocotools, by processor time of this process, in turn."""
    coding, rng, number, rows = require("pycocotools.mask", extra="instances"), np.random.default_rng(0), 30 if quick else 300, []
    for corners in (12, 40):
        polygons = []
        for _ in range(number):
            angle = np.sort(rng.uniform(0, 2 * np.pi, corners))
            radius = rng.lognormal(3.4, 0.8) * rng.uniform(0.6, 1.2, corners)
            centre = rng.uniform((100, 200), (1180, 600))
            polygons.append(np.round(centre + np.stack([1.5 * radius * np.cos(angle), radius * np.sin(angle)], 1), 2))
        flat = [polygon.ravel().tolist() for polygon in polygons]
        raw = [[{"vertices": polygon.tolist(), "types": "L" * corners, "closed": True}] for polygon in polygons]
        sides = {
            "pycocotools": lambda flat=flat: [coding.merge(coding.frPyObjects([points], *SIZE_HW)) for points in flat],
            "filling": lambda polygons=polygons: [counts_from_polygons([polygon], SIZE_HW) for polygon in polygons],
            "parsing and filling": lambda raw=raw: [counts_from_polygons(parse_poly2d(entry), SIZE_HW) for entry in raw],
        }
        best = dict.fromkeys(sides, float("inf"))
        for _ in range(1 if quick else 7):
            for name, side in sides.items():
                started = time.process_time()
                side()
                best[name] = min(best[name], time.process_time() - started)
        rows += [
            {
                "name": f"{name} polygons of {corners} corners, ours / pycocotools",
                "value": best[name] / best["pycocotools"],
                "unit": "×",
                "target": "≤ 3",
                "note": f"{number} polygons in 720×1280, processor time; {best[name] / number * 1e6:.0f} µs each",
            }
            for name in ("filling", "parsing and filling")
        ]
    return rows


def run(quick: bool = False) -> list[dict]:
    """Time both sides in turn and measure how our memory grows."""
    number, repeats = (8, 1) if quick else (192, 3)
    with tempfile.TemporaryDirectory() as folder:
        root, few = Path(folder) / "many", Path(folder) / "few"
        write_split(root, number)
        write_split(few, number // 4)
        sides = {"ours": convert_ours, "documented": convert_as_documented}
        for name, side in sides.items():
            side(few, Path(folder) / f"{name}.json")
        if not same_annotations(Path(folder) / "ours.json", Path(folder) / "documented.json"):
            raise RuntimeError("the two sides do not write the same annotations, so their times say nothing")
        wall, cpu = dict.fromkeys(sides, float("inf")), dict.fromkeys(sides, float("inf"))
        for _ in range(repeats):
            for name, side in sides.items():
                started, before = time.perf_counter(), processor_seconds()
                side(root, Path(folder) / f"{name}.json")
                wall[name] = min(wall[name], (time.perf_counter() - started) / number * 1000)
                cpu[name] = min(cpu[name], (processor_seconds() - before) / number * 1000)
        growth = peak_memory_mib(root, Path(folder) / "a.json") - peak_memory_mib(few, Path(folder) / "b.json")
    note = f"{number} images of 720×1280 with {INSTANCES} instances, {PROCESSES} processes, best of {repeats}; same annotations"
    rows = [
        {
            "name": f"bitmask to COCO, {what}, documented / ours",
            "value": x["documented"] / x["ours"],
            "unit": "×",
            "target": "≥ 5",
            "note": note,
        }
        for what, x in (("wall clock", wall), ("processor time", cpu))
    ]
    rows += [
        {"name": f"bitmask to COCO, {what}, {name}", "value": x[name], "unit": "ms/image", "target": "", "note": "reading the PNG included"}
        for what, x in (("wall clock", wall), ("processor time", cpu))
        for name in sides
    ]
    return [
        *rows,
        *time_polygons(quick),
        {
            "name": "bitmask to COCO, peak memory of 4 times the images minus that of 1",
            "value": growth,
            "unit": "MiB",
            "target": "≤ 10",
            "note": f"{number} against {number // 4} images, one process",
        },
    ]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few images, one repeat")
    for measured in run(parser.parse_args().quick):
        print(f"{measured['name']}: {measured['value']:.3g} {measured['unit']}  {measured['target']}  {measured['note']}")
