"""Looks at the data of an instance segmentor as its own config presents them: canvas, masks, anchors, proposals, regions, numbers."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import Compose
from mmdet.registry import DATASETS, TRANSFORMS
from mmengine.config import Config
from mmengine.registry import init_default_scope

from mmstreet.engine.errors import LaunchError
from mmstreet.evaluation.image_inspector import ImageInspector
from mmstreet.evaluation.instance_stats import count_instances
from mmstreet.files.atomic import write_arrays, write_json
from mmstreet.files.dataset_parts import dataset_parts
from mmstreet.formats.records import IMAGE_ATTRIBUTES


def inspect_instances(
    cfg: Config,
    *,
    out: str | Path,
    split: str = "train",
    names: Sequence[str] = (),
    count: int = 2,
    proposals: int = 2000,
    regions: int = 128,
    positive_share: float = 0.33,
    model: torch.nn.Module | None = None,
    seed: int = 0,
) -> dict:
    """Measure some images and count the whole split.

    Writes ``inspection.json``, and for each image ``arrays.npz`` in a folder of its name, from which
    :func:`mmstreet.report.instance_pictures.render_inspection` makes pictures.

    Args:
        cfg: Config of a two-stage detector with masks; its data set, letterbox, anchors and assigners are used.
        out: Folder for the files.
        split: ``'train'``, ``'val'`` or ``'test'``: whose data loader.
        names: File names of images, with or without folders in front; none takes ``count`` of them, evenly spaced.
        count: How many images to take when no names are given.
        proposals: How many proposals to make per image.
        regions: How many of them to sample.
        positive_share: Greatest share of positive ones among the sampled.
        model: A trained model whose proposals are taken; None samples boxes, nine tenths of them around objects.
        seed: Of the random boxes and of the sampling.

    Returns:
        What ``inspection.json`` holds.

    Raises:
        LaunchError: If the split or an image does not exist, or the config has no letterbox.
    """
    init_default_scope(cfg.get("default_scope", "mmdet"))
    dataset, load, letterbox = _build_data(cfg, split)
    entries = [dataset.get_data_info(i) for i in range(len(dataset))]
    classes = {"names": dataset.metainfo["classes"], "palette": dataset.metainfo["palette"]}
    report = {"split": split, "set": count_instances(entries, classes["names"], attributes=IMAGE_ATTRIBUTES)}
    report["canvas_hw"] = list(letterbox.size_hw)
    out = Path(out)
    report["palette"] = [list(color) for color in classes["palette"]]
    report["images"] = []
    for entry in _choose(entries, names, count):
        folder = out / Path(entry["img_path"]).stem
        original = load(copy.deepcopy(entry))
        inspector = ImageInspector(cfg, classes, original, letterbox(copy.deepcopy(original)), seed)
        report["images"].append(
            {
                "name": Path(entry["img_path"]).name,
                "folder": folder.name,
                "instances": inspector.inspect_labels(),
                "masks": inspector.inspect_masks(),
                "anchors": inspector.inspect_anchors(),
                "proposals": inspector.inspect_proposals(proposals, regions, positive_share, model),
            }
        )
        write_arrays(inspector.arrays, folder / "arrays.npz")
    write_json(report, out / "inspection.json")
    return report


def _build_data(cfg: Config, split: str) -> tuple[object, Compose, Compose]:
    """Return the data set without any filter, the steps that load an image with its labels, and the letterbox."""
    if f"{split}_dataloader" not in cfg:
        raise LaunchError(f"the config has no {split}_dataloader; choose a split that it has")
    settings = next(dataset_parts(copy.deepcopy(cfg[f"{split}_dataloader"].dataset)))
    letterbox = next((step for step in settings.pipeline if step["type"] == "mmstreet.Letterbox"), None)
    if letterbox is None:
        raise LaunchError(f"the {split} pipeline has no mmstreet.Letterbox; there is no canvas to show")
    dataset = DATASETS.build(settings | dict(pipeline=[], test_mode=True, lazy_init=False))
    load = [dict(type="mmstreet.LoadImage"), dict(type="LoadAnnotations", with_bbox=True, with_mask=True)]
    return dataset, Compose([TRANSFORMS.build(step) for step in load]), TRANSFORMS.build(letterbox)


def _choose(entries: Sequence[dict], names: Sequence[str], count: int) -> list[dict]:
    if not names:
        places = np.linspace(0, len(entries) - 1, min(count, len(entries)), dtype=int)
        return [entries[i] for i in dict.fromkeys(places.tolist())]
    found = []
    for name in names:
        matches = [entry for entry in entries if Path(entry["img_path"]).as_posix().endswith("/" + name)]
        if len(matches) != 1:
            what = "is not an image" if not matches else f"names {len(matches)} images"
            raise LaunchError(f"'{name}' {what} of this split, which has {len(entries)}, the first '{Path(entries[0]['img_path']).name}'")
        found += matches
    return found
