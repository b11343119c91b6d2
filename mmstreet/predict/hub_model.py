"""A published model without a config: from its folder or its name on the Hugging Face hub to one that predicts."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

from mmstreet.engine.errors import LaunchError
from mmstreet.labels import TABLES
from mmstreet.models.class_names import match_classes
from mmstreet.models.transformers_hub import class_names, input_size, licence_of, read_config, read_processor, resize_step
from mmstreet.predict.exported import fingerprint_of
from mmstreet.predict.image_pipeline import test_steps
from mmstreet.predict.inference import build_model, choose_device
from mmstreet.predict.semantic_model import SemanticModel

STREET = "bdd100k_sem19"
_ENOUGH = 10
"""So many of the street's classes must be known, or a model keeps its own."""


def hub_config(model: str, *, cfg_options: Mapping | None = None) -> Config:
    """Return the config that a published model stands for: its network, its processor's resizing, the street's classes if it knows them.

    Args:
        model: Folder in transformers' format, or a name on the hub.
        cfg_options: Settings by dotted key, such as ``{"model.classes": "camvid11"}``.
    """
    config, look = read_config(model), read_processor(model)
    own, only = class_names(config), input_size(config)
    try:
        known = sum(map(bool, match_classes(own, TABLES[STREET].names)))
    except ValueError:
        known = 0
    loading = dict(type="mmstreet.LoadImage", orientation="exif")
    pipeline = [loading, *resize_step(look), dict(type="PackSegInputs")]
    network = dict(type="mmstreet.TransformersSegmentor", model=str(model), **({"classes": STREET} if known >= _ENOUGH else {}))
    if only and look["split"]:  # as the processor does: as many windows as the longer side asks for, the last ends at the border
        network["test_cfg"] = dict(mode="slide", crop_size=only, stride=only)
    elif only and "height" not in (look["size"] or {}):
        network["data_preprocessor"] = dict(test_cfg=dict(size=only))  # padded right and below
    content = dict(
        default_scope="mmseg",
        model=network,
        test_dataloader=dict(dataset=dict(pipeline=pipeline)),
    )
    cfg = Config(content, cfg_text=str(model), filename=str(model))
    if cfg_options:
        cfg.merge_from_dict(dict(cfg_options))
    return cfg


def load_hub_model(model: str, *, device: str | None = None, cfg_options: Mapping | None = None) -> SemanticModel:
    """Load a published segmentation model; it is downloaded once.

    Raises:
        LaunchError: If it lacks weights, such as those of a classifier, or there is no such device.
        OSError: If it cannot be had; one sentence.
        ValueError: If it is no segmentation model.
    """
    place = choose_device(device)
    cfg = hub_config(model, cfg_options=cfg_options)
    network = build_model(cfg)
    drawn = network.backbone.init_weights()
    if drawn:
        raise LaunchError(f"'{model}' has no trained classifier ({len(drawn)} tensors are missing, first '{drawn[0]}'); train it first")
    wanted = cfg.model.get("classes")
    table = TABLES.get(wanted) if isinstance(wanted, str) else None
    names = table.names if table else tuple(wanted or class_names(read_config(model)))
    here = Path(model).is_dir()
    licence = licence_of(model) or ("not stated" if here else f"see https://huggingface.co/{model}")
    return SemanticModel(
        network.to(place).eval(),
        cfg,
        classes=names,
        palette=table.palette if table else None,
        device=place,
        about=f"{model}: {len(names)} classes, licence: {licence}",
        fingerprint=fingerprint_of(
            json.dumps([cfg.model, test_steps(cfg)], default=str, sort_keys=True).encode(),
            *(value.cpu().numpy().tobytes() for value in network.state_dict().values()),
        ),
    )
