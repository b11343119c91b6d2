"""Work dirs as training and testing leave them, written by hand in milliseconds."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from mmstreet.files.atomic import write_arrays, write_json
from mmstreet.files.image_confusions import ImageConfusions
from mmstreet.files.label_archive import write_label_archive
from mmstreet.files.pictures import encode_label_map, write_label_map, write_photo
from mmstreet.metrics.summary import summarize, summarize_images

NAMES = ("road", "traffic light", '<b>bold</b> & "quoted"')
PALETTE = [[128, 64, 128], [250, 170, 30], [220, 20, 60]]
TRUTH = np.arange(2, dtype=np.uint8).repeat(16).reshape(1, 32).repeat(18, 0)
"""Labels of every image: the left half is the first class, the right half the second."""
CONFUSION = [[900, 50, 50, 0], [10, 60, 30, 0], [0, 0, 0, 0], [0, 0, 0, 0]]
WEATHER = (("clear", 40.0), ("<i>snow</i>", 12.5))
CONFIG = "model = dict(type='EncoderDecoder', decode_head=dict(num_classes={classes}))\ntrain_cfg = dict(max_epochs=4)\n"
SAFETY = {
    "score": 42.0,
    "level": "HIGH",
    "components": {"road_visibility": 0.9, "people": 0.2, "vehicles": 1.0, "obstacles": None, "lane_clarity": 0.5},
    "explanation": "42 of 100, HIGH risk. <people> cost most.",
}


def write_logs(folder: Path, *, start: str = "20260101_000000", epochs: range = range(1, 4), offset: float = 0.0, classes: int = 3) -> Path:
    """Write ``scalars.json`` and the dumped config of one start: four logged iterations and a validation per epoch."""
    lines = []
    for epoch in epochs:
        for step in range(4 * epoch - 3, 4 * epoch + 1):
            lines.append(
                {"lr": 0.01 / step, "loss": 2.0 / step + offset, "time": 0.5, "data_time": 0.1, "epoch": epoch, "iter": step, "step": step}
            )
        scores = {f"IoU/{name}": 10.0 * epoch + i + offset for i, name in enumerate(NAMES)}
        lines.append({"mIoU": 10.0 * epoch + offset, "aAcc": 60.0 + epoch, **scores, "time": 0.1, "step": epoch})
    data = folder / start / "vis_data"
    data.mkdir(parents=True)
    (data / "scalars.json").write_text("".join(json.dumps(line) + "\n" for line in lines))
    (data / "config.py").write_text(CONFIG.format(classes=classes))
    return folder


def write_test(
    folder: Path,
    *,
    confusion: list = CONFUSION,
    names: tuple = NAMES,
    title: str = "<img src=x onerror=alert(1)>.jpg",
    images: np.ndarray | None = None,
) -> Path:
    """Write what a test leaves: scores, two worst images, and the road-safety score; of ``images``, counts by image, also these."""
    confusion = np.array(confusion) if images is None else images.sum(0)
    report = summarize(confusion, names, table=None, convention="mmseg", scope="labelled")
    if images is not None:
        report |= summarize_images(images, names, table=None, convention="mmseg")
        counts = ImageConfusions([f"{folder}/{i}.jpg" for i in range(len(images))], images)
        write_arrays(counts.arrays(), folder / "test" / "per_image.npz")
    report["per_class"][1]["frequency"] = "rare"
    out = folder / "test"
    evaluation = {key: value for key, value in report.items() if key != "metrics"}
    run = {"config": "configs/a.py", "checkpoint": "epoch_3.pth", "metrics": report["metrics"]}
    write_json(run | {"evaluation": evaluation}, out / "metrics.json")
    write_kept(out / "images", title)
    write_photo(np.full((18, 32, 3), 99, np.uint8), out / "safety" / "scenes" / "worst_01.jpg")
    scene = {"img_path": f"data/{title}", "picture": "scenes/worst_01.jpg", "safety": SAFETY, "truth": None}
    reasons = {"people is not known: the classes have <no> people": 2}
    safety = {"metrics": {"score": 42.0, "share_HIGH": 100.0}, "reasons": reasons, "worst": [scene], "best": [scene]}
    write_json(run | {"safety": safety}, out / "safety" / "metrics.json")
    return folder


def write_kept(folder: Path, title: str, *, before: bool = False, img_paths: tuple = ("data/a.jpg", "data/b.jpg")) -> Path:
    """Write two images with their label maps, the first all wrong: a prediction, or a baseline and what a refiner made of it."""
    rows, truth = [], TRUTH
    for i, (name, preds) in enumerate(((title, 1 - truth), ("b.jpg", truth)), 1):
        maps = {"baseline": 1 - truth, "crf <1>": preds} if before else {"prediction": preds}
        pictures = {"image": write_photo(np.full((18, 32, 3), 99, np.uint8), folder / f"{i:02d}_image.jpg")}
        pictures |= {kind: write_label_map(ids, PALETTE, folder / f"{i:02d}_{kind}.png") for kind, ids in (maps | {"truth": truth}).items()}
        right = {kind: 100.0 * float((ids == truth).mean()) for kind, ids in maps.items()}
        row = {"title": name, "img_path": img_paths[i - 1], "mIoU": None if before else right["prediction"], "right": right}
        lists = {"lists": ["worst"], "slices": [{"attribute": "weather", "value": "<i>fog</i>", "mIoU": 10.0 * i}]}
        rows.append(row | lists | {"pictures": {kind: path.name for kind, path in pictures.items()}})
    classes = [{"class": name, "color": color} for name, color in zip(NAMES, PALETTE)]
    write_json({"classes": classes, "ignored": [0, 0, 0], "no_class": [64, 64, 64], "images": rows}, folder / "index.json")
    return folder


def wrong_in(columns: slice, *, label: int | None = None) -> np.ndarray:
    """The truth, but for some columns: the other class there, or one that is given."""
    preds = TRUTH.copy()
    preds[:, columns] = (1 - preds[:, columns]) if label is None else label
    return preds


def write_images(folder: Path, preds: list[np.ndarray], *, kept: tuple[int, int] = (0, 1), data: str = "data") -> Path:
    """Write a test of images that all have the labels :data:`TRUTH`; two of them, by number, are kept with pictures and index."""
    counts = np.zeros((len(preds), 4, 4), np.int64)
    for one, ids in zip(counts, preds):
        np.add.at(one, (TRUTH.ravel(), ids.ravel()), 1)
    write_test(folder, images=counts)
    paths = [f"{data}/{i}.jpg" for i in range(len(preds))]
    write_arrays(ImageConfusions(paths, counts).arrays(), folder / "test/per_image.npz")
    write_kept(folder / "test/images", f"{kept[0]}.jpg", img_paths=tuple(paths[i] for i in kept))
    index = json.loads((folder / "test/images/index.json").read_text())
    for row, number in zip(index["images"], kept):
        row |= {"title": f"{number}.jpg", "mIoU": 10.0 * number}
        write_label_map(preds[number], PALETTE, folder / "test/images" / row["pictures"]["prediction"])
    write_json(index, folder / "test/images/index.json")
    write_label_archive({i: encode_label_map(one, PALETTE) for i, one in enumerate(preds)}, folder / "test/predictions.zip")
    return folder


def write_instances(folder: Path) -> Path:
    """Write what a test of instances leaves, with one protocol and a class that has no instance."""
    row = {"AP": 30.0, "AP50": 50.0}
    summary = {
        "metrics": row | {"mAP@0.5": 40.0},  # of whole images, so no class has it
        "per_class": [{"class": "car", "instances": 7, **row}, {"class": "train", "instances": 0, "AP": None, "AP50": None}],
        "images": 3,
        "instances": 7,
        "curve": {"iou": 0.5, "recall": [0.0, 0.5, 1.0], "classes": {"car": {"precision": [1.0, 0.5, None], "score": [0.9, 0.5, None]}}},
    }
    part = {key: value for key, value in summary.items() if key != "curve"}
    by = {"weather": {value: {"coco": part | {"metrics": {"AP": ap, "AP50": 50.0}, "interval": [ap - 5, ap + 5]}} for value, ap in WEATHER}}
    intervals = {
        "level": 95,
        "draws": 1000,
        "images": 3,
        "scores": {"coco/AP": [21.5, 38.25], "coco/AP/car": [20.0, 41.0], "coco/AP/train": None},
    }
    evaluation = {"protocols": {"coco": summary}, "by": by, "classes": ["car", "train"], "intervals": intervals}
    write_json({"config": "a.py", "checkpoint": None, "metrics": {"coco/AP": 30.0}, "evaluation": evaluation}, folder / "test/metrics.json")
    return folder


def write_refinement(folder: Path) -> Path:
    """Write what ``--refine`` leaves beside a test: two systems, and the images that changed most."""
    systems = [
        {
            "name": name,
            "mIoU": 40.0 + gain,
            "boundary_IoU": 30.0 - gain,
            "thin_IoU": None,
            "seconds_per_image": 0.25,
            "changed_percent": 2.0 * gain,
            "per_class": [{"class": "road", "IoU": 80.0 + gain}],
            "differences": {"mIoU": [0.5, 2.0], "boundary_IoU": [-2.0, 0.25], "IoU/road": None} if gain else {},
            "regions": {"refused, mixed": 14_145} if gain else {},
            "regions_per_class": {"road": {"refused, mixed": 14_145}} if gain else {},
        }
        for name, gain in (("baseline", 0.0), ("crf <1>", 1.25))
    ]
    write_json({"boundary_radius_px": 3, "systems": systems}, folder / "test" / "refinement.json")
    write_kept(folder / "test" / "refinement", "c.jpg", before=True)
    return folder
