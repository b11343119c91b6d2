"""The test pipeline and the test set of a config, for images that are in no data set."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.registry import DATASETS, DefaultScope

from mmstreet.engine.errors import LaunchError
from mmstreet.files.dataset_parts import dataset_parts


def test_steps(cfg: Config) -> list[dict]:
    """Return the test pipeline of a config."""
    dataset = (cfg.get("test_dataloader") or cfg.get("val_dataloader") or {}).get("dataset", {})
    steps = next(dataset_parts(dataset)).get("pipeline") or cfg.get("test_pipeline")
    if not steps:
        raise LaunchError(f"config '{cfg.filename}' has no test pipeline; expected test_dataloader.dataset.pipeline")
    return steps


def inference_steps(cfg: Config) -> list[dict]:
    """Return the test pipeline of a config without the steps that read files or labels."""
    steps = test_steps(cfg)
    kept = [copy.deepcopy(dict(step)) for step in steps if not _reads_or_labels(step["type"])]
    if not kept or not str(kept[-1]["type"]).rpartition(".")[2].startswith("Pack"):
        raise LaunchError(f"the test pipeline of '{cfg.filename}' must end with PackSegInputs or PackDetInputs")
    return kept


def _reads_or_labels(kind: object) -> bool:
    name = (kind if isinstance(kind, str) else kind.__name__).rpartition(".")[2]
    return name.startswith(("Load", "RemapLabels", "InferencerLoader"))


def scale_steps(steps: Sequence[Mapping], scale: float) -> list[dict]:
    """Return pipeline steps that bring an image to ``scale`` times the size that the given steps bring it to."""
    steps, touched = copy.deepcopy(list(steps)), False
    for step in steps:
        if str(step["type"]).rpartition(".")[2] == "Resize":
            touched = True
            for name in ("scale", "scale_factor"):
                value = step.get(name)
                if value is not None:
                    whole = name == "scale"
                    step[name] = (
                        tuple(_scaled(x, scale, whole) for x in value) if isinstance(value, list | tuple) else _scaled(value, scale, whole)
                    )
    return steps if touched else [dict(type="Resize", scale_factor=scale, keep_ratio=True), *steps]


def _scaled(value: float, scale: float, whole: bool) -> float | int:
    return max(1, int(value * scale + 0.5)) if whole else value * scale


def image_paths_of(cfg: Config, count: int, *, part: str = "test") -> list[Path]:
    """Return the first images of a config's test set, or of ``'train'`` as many that lie evenly in it.

    Raises:
        LaunchError: If the config has no such set or its files are not there.
    """
    try:
        dataset = _build_set(cfg, lazy_init=False, part=part)
        chosen = min(count, len(dataset))
        step = len(dataset) / max(chosen, 1) if part == "train" else 1
        return [Path(dataset.get_data_info(int(i * step))["img_path"]) for i in range(chosen)]
    except (AttributeError, OSError, KeyError, ValueError) as error:
        option = "--calibration" if part == "train" else "--images"
        raise LaunchError(f"the {part} set of '{cfg.filename}' cannot be read ({error}); name images with {option}") from error


def metainfo_of_config(cfg: Config) -> dict:
    """Ask the test set of a config for its classes, without reading its files."""
    dataset = _build_set(cfg, lazy_init=True)
    return {} if dataset is None else {str(key).lower(): value for key, value in dataset.metainfo.items()}


def _build_set(cfg: Config, *, lazy_init: bool, part: str = "test") -> BaseDataset | None:
    loader = cfg.get(f"{part}_dataloader") or (cfg.get("val_dataloader") if part == "test" else None)
    settings = copy.deepcopy((loader or {}).get("dataset"))
    if not settings:
        return None
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "mmseg")):
        wrapped = "dataset" in settings or "datasets" in settings
        return DATASETS.build(dict(settings, lazy_init=lazy_init, **({} if wrapped else {"pipeline": []})))
