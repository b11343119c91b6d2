"""A config made to fit the data of a ``data.yaml``: data sets, number of classes, class weights, crops."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping
from typing import Any

from mmengine.config import Config, ConfigDict
from mmengine.logging import print_log

from mmstreet.datasets.data_file import DataFile, DataPart
from mmstreet.engine.errors import LaunchError
from mmstreet.files.dataset_parts import dataset_parts
from mmstreet.labels import LabelTable, known_class

_PLACEHOLDER = "data.yaml"
"""``data_root`` of a config that has no data of its own."""
_KEPT = ("pipeline", "indices", "test_mode", "lazy_init", "serialize_data", "max_refetch", "cache")
_MAX_CROP_HW = (512, 1024)
_CROP_SHARE = (0.711, 0.733)
"""Of the image's height and width: 256x352 of CamVid's 360x480, 512x928 of BDD100K's 720x1280."""
_SMALL_IMAGE, _ENLARGED = 400_000, 1.6
"""Pixels below which a config that has no data of its own predicts images enlarged, as ``street_camvid`` does, and by what factor."""
_RARE_SHARE = 1.25
"""Per cent of the pixels up to which a class is kept in view by crops."""
_SMALL_GROUPS = ("object", "human", "other")
_TWO_WHEELS = ("bicycle", "motorcycle")


def fit_config(cfg: Config, data: DataFile) -> None:
    """Let a segmentation config train, validate and test on the data of a file.

    Pipelines, batch sizes and samplers stay. Data sets become those of the file, with ``mmstreet.RemapLabels`` after the labels are loaded
    where a set is remapped; heads get the number of classes; weights of classes are computed from the shares of the training pixels; a
    ``mmstreet.RandomScaleCrop`` gets a size that fits the images and the rare classes to keep in view.

    Args:
        cfg: The config, changed in place.
        data: The file.

    Raises:
        LaunchError: If the config is a detector's or needs image-level labels, or if the file has no training or validation images.
    """
    if cfg.get("default_scope") == "mmdet":
        raise LaunchError(
            f"config '{cfg.filename}' finds objects, and '{data.path}' describes label maps; choose a semantic config, such as street"
        )
    table, is_open = data.table, lacks_data(cfg)
    for loader in ("train", "val", "test"):
        if cfg.get(f"{loader}_dataloader"):
            cfg[f"{loader}_dataloader"].dataset = _data_sets(cfg, data, loader)
    _fit_model(cfg.model, table)
    for key in ("val_evaluator", "test_evaluator"):
        if cfg.get(key):
            cfg[key] = _fit_evaluators(cfg[key])
    for crop in _dicts(cfg.train_dataloader.dataset):
        if str(crop.get("type")).endswith("RandomScaleCrop"):
            crop["prefer"] = rare_classes(table)
            if data.image_hw is not None:
                crop["size_hw"] = crop_size(data.image_hw)
    if is_open and data.image_hw is not None and data.image_hw[0] * data.image_hw[1] < _SMALL_IMAGE:
        for loader in ("val", "test"):
            for part in dataset_parts(cfg[f"{loader}_dataloader"].dataset):
                part.pipeline.insert(1, dict(type="Resize", scale=enlarged_wh(data.image_hw), keep_ratio=True))


def enlarged_wh(image_hw: tuple[int, int]) -> tuple[int, int]:
    """Return the width and height at which small images are predicted, in steps of 32: thin things are two pixels wide at their own size.

    Example:
        >>> enlarged_wh((360, 480))
        (768, 576)
    """
    height, width = (max(32, 32 * round(_ENLARGED * side / 32)) for side in image_hw)
    return width, height


def lacks_data(cfg: Config) -> bool:
    """Tell whether a config waits for the data of a file, as ``street`` does."""
    loaders = (cfg.get(f"{split}_dataloader") or {} for split in ("train", "test"))
    return any(part.get("data_root") == _PLACEHOLDER for loader in loaders for part in dataset_parts(loader.get("dataset")))


def set_num_classes(model: Any, num_classes: int) -> None:
    """Give every head of a model's config another number of classes, and no class weights, for a model that is not trained."""
    for node in _dicts(model):
        if "num_classes" in node:
            node["num_classes"] = num_classes
        if "class_weight" in node:
            node["class_weight"] = None


def rare_classes(table: LabelTable) -> tuple[int, ...]:
    """Return the train ids of the classes that crops keep in view: rare objects and people, and bicycles and motorcycles."""
    return tuple(
        label.train_id
        for label in table.labels
        if label.share is not None
        and 0 < label.share <= _RARE_SHARE
        and (label.group in _SMALL_GROUPS or ((known := known_class(label.name)) is not None and known.name in _TWO_WHEELS))
    )


def crop_size(image_hw: tuple[int, int]) -> tuple[int, int]:
    """Return height and width of training crops: seven tenths of the image's, in steps of 32, at most 512x1024.

    Example:
        >>> crop_size((360, 480)), crop_size((720, 1280)), crop_size((1024, 2048))
        ((256, 352), (512, 928), (512, 1024))
    """
    height, width = (min(most, max(32, 32 * round(share * size / 32))) for size, share, most in zip(image_hw, _CROP_SHARE, _MAX_CROP_HW))
    return height, width


def _data_sets(cfg: Config, data: DataFile, loader: str) -> ConfigDict:
    template = cfg[f"{loader}_dataloader"].dataset
    leaf = next(dataset_parts(template))
    if leaf.get("image_labels") is not None or str(leaf.get("type")).rpartition(".")[2].startswith("Weak"):
        raise LaunchError(f"config '{cfg.filename}' needs image-level labels, which '{data.path}' does not have; choose another config")
    sets = []
    for part in data.parts:
        split = loader
        if loader == "test" and not ("test" in part.splits and _is_labelled(part, "test")):
            split = "val"  # a test set is often published without labels
        if split in part.splits:
            sets += [_data_set(leaf, part, split, data.table)] * (part.repeat if loader == "train" else 1)
    if not sets:
        raise LaunchError(f"'{data.path}' has no images for {loader}: name a folder or a list file in its 'splits'")
    return ConfigDict(_with_leaf(template, sets[0] if len(sets) == 1 else dict(type="ConcatDataset", datasets=sets)))


def _is_labelled(part: DataPart, split: str) -> bool:
    return part.splits[split].endswith(".txt") or part.layout.has_labels(part.root, part.splits[split])


def _data_set(leaf: Mapping, part: DataPart, split: str, table: LabelTable) -> dict:
    folder, lines = part.place(split)
    found = {key: copy.deepcopy(leaf[key]) for key in _KEPT if key in leaf}
    steps = []
    for step in found.get("pipeline", ()):
        kind = str(step.get("type")).rpartition(".")[2]
        if kind == "RemapLabels":
            continue
        if kind in ("LoadLabels", "LoadAnnotations"):
            steps.append(dict(type="mmstreet.LoadLabels"))
            if part.mapping is not None:
                names = dict(source=_rows(part.table), target=_rows(table), mapping=dict(part.mapping))
                steps.append(dict(type="mmstreet.RemapLabels", **names))
        else:
            steps.append(step)
    return dict(
        found,
        type="mmstreet.StreetSemSeg",
        data_root=str(part.root),
        split=folder,
        layout=copy.deepcopy(part.layout_settings),
        classes=_rows(part.table),
        **({"table": _rows(table)} if part.mapping is not None else {}),
        **({} if lines is None else {"ann_file": part.splits[split]}),
        pipeline=steps,
    )


def _rows(table: LabelTable) -> str | list[dict]:
    return [{key: value for key, value in row.items() if value is not None} for row in table.rows] if table.is_own else table.name


def _with_leaf(node: Any, leaf: dict) -> dict:
    """Return a data set's config with another data set inside its wrappers; one of several becomes the only one."""
    if node.get("dataset") is not None:
        return {**node, "dataset": _with_leaf(node["dataset"], leaf)}
    return _with_leaf(node["datasets"][0], leaf) if node.get("datasets") else leaf


def _fit_model(model: Any, table: LabelTable) -> None:
    shares = [label.share for label in table.labels]
    for node in _dicts(model):
        if "num_classes" in node:
            node["num_classes"] = len(table)
        weight = node.get("class_weight")
        if isinstance(weight, Mapping) and None not in shares and any(shares):
            kept = {key: value for key, value in weight.items() if key not in ("counts", "table", "names", "only", "boosts")}
            node["class_weight"] = dict(kept, table=_rows(table), zero="max")
            if boosts := {name: factor for name, factor in (weight.get("boosts") or {}).items() if name in table.names}:
                node["class_weight"]["boosts"] = boosts
        elif weight is not None:
            node["class_weight"] = None
            why = (
                "the shares of its classes are not known"
                if isinstance(weight, Mapping)
                else "those of the config are numbers for other classes"
            )
            print_log(f"no class weights: {why}", logger="current", level=logging.WARNING)


def _fit_evaluators(evaluators: Any) -> list | dict:
    """Leave class tables to the data set; what remains of several metrics that scored other tables is one."""
    several = isinstance(evaluators, list | tuple)
    kept: list[dict] = []
    for evaluator in evaluators if several else [evaluators]:
        plain = {key: value for key, value in evaluator.items() if key not in ("table", "scope", "prefix")}
        if plain not in kept:
            kept.append(plain)
    return kept if len(kept) > 1 else kept[0]


def _dicts(node: Any) -> Iterator[dict]:
    """Every dict inside a config."""
    if isinstance(node, dict):
        yield node
        for value in list(node.values()):
            yield from _dicts(value)
    elif isinstance(node, list | tuple):
        for value in node:
            yield from _dicts(value)
