"""From a config and a checkpoint to a trained model that takes RGB images; mmdet may be absent for segmentation, mmseg for detection."""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Mapping
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, DefaultScope
from torch import nn

from mmstreet.engine.checkpoint_content import check_content
from mmstreet.engine.checkpoint_fit import check_fit, plain_weights
from mmstreet.engine.checkpoints import find_checkpoint
from mmstreet.engine.data_config import lacks_data, set_num_classes
from mmstreet.engine.errors import LaunchError
from mmstreet.engine.launch import load_config
from mmstreet.engine.pretrained import fetch_weights
from mmstreet.engine.safe_load import read_checkpoint
from mmstreet.predict.confidence import read_temperature
from mmstreet.predict.exported import fingerprint_of
from mmstreet.predict.image_pipeline import metainfo_of_config, test_steps
from mmstreet.predict.trained_model import TrainedModel


def load_trained(
    config: str | Path,
    checkpoint: str | Path,
    *,
    device: str | None = None,
    trust: bool = False,
    cfg_options: Mapping | None = None,
) -> TrainedModel:
    """Build the model of a config and fill it from a checkpoint.

    Args:
        config: Config file of mmseg or mmdet.
        checkpoint: A ``.pth`` file, the folder of a run for its newest one, or a URL whose file name carries a hash.
        device: ``'cpu'``, ``'cuda'``, ``'cuda:1'`` …; default: a GPU if there is one.
        trust: Read a checkpoint that holds other Python objects than weights and logs.
        cfg_options: Settings by dotted key that overrule the config's.

    Raises:
        LaunchError: If config or checkpoint do not exist or do not fit each other, if the checkpoint holds what cannot be read
            safely, or if there is no such device.
    """
    cfg = load_config(config, launcher="none", cfg_options=cfg_options)
    path = fetch_weights(str(checkpoint)) if "://" in str(checkpoint) else find_checkpoint(checkpoint)
    try:
        content = read_checkpoint(path, trust=trust)
    except LaunchError as error:
        refusal, of_code, _ = str(error).partition("; use a checkpoint of weights only")
        advice = "; give a file of weights only, or add --trust-checkpoint (trust=True) for one that you made yourself"
        raise LaunchError(refusal + advice * bool(of_code)) from None
    check_content(content, path)
    place = choose_device(device)
    scope = cfg.get("default_scope", "mmseg")
    trained = {str(key).lower(): value for key, value in (content.get("meta", {}).get("dataset_meta") or {}).items()}
    if lacks_data(cfg) and trained.get("classes"):
        set_num_classes(cfg.model, len(trained["classes"]))
    model = build_model(cfg)
    check_fit(model, content, path)
    model.load_state_dict({k: v for k, v in plain_weights(content).items() if k in model.state_dict()}, strict=False)
    meta = trained if trained.get("classes") else metainfo_of_config(cfg)
    width = count_classes(model)
    names = tuple(meta.get("classes") or ())
    if names[width:] == ("background",):  # a test set over the whole scene has it; the model of the six classes has not
        names = names[:width]
    if len(names) != width:
        if names:
            raise LaunchError(
                f"the model predicts {width} classes, but '{path}' was trained on a data set of {len(names)} ({', '.join(names[:4])}, …); "
                "give the config that the checkpoint was trained with"
            )
        names = tuple(f"class {i}" for i in range(width))
    if scope == "mmseg":
        from mmstreet.predict.semantic_model import SemanticModel as Kind
    else:
        from mmstreet.predict.instance_model import InstanceModel as Kind
    return Kind(
        model.to(place).eval(),
        cfg,
        classes=names,
        palette=(meta.get("palette") or ())[:width],
        label_rows=(meta.get("label_rows") or ())[:width],
        device=place,
        temperature=_find_temperature(path) if scope == "mmseg" else None,
        fingerprint=fingerprint_of(json.dumps([cfg.model, test_steps(cfg)], default=str, sort_keys=True).encode(), path.read_bytes()),
    )


def _find_temperature(checkpoint: Path) -> float | None:
    try:
        return read_temperature(checkpoint)
    except ValueError as error:
        raise LaunchError(str(error)) from error


def build_model(cfg: Config) -> nn.Module:
    """Build the model of a config without fetching pretrained weights, in the scope of its framework."""
    model_cfg = copy.deepcopy(cfg.model)
    model_cfg.pop("init_cfg", None)
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "mmseg")), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return MODELS.build(model_cfg)


def default_device() -> str:
    """Return the name of this process's device where none was asked for."""
    if not torch.cuda.is_available():
        return "cpu"
    return f"cuda:{int(os.environ.get('LOCAL_RANK', 0)) % torch.cuda.device_count()}"


def choose_device(name: str | None) -> torch.device:
    """Return the device of a name, or the GPU if there is one; of several, processes that torchrun started take one each.

    Raises:
        LaunchError: If there is no such device.
    """
    try:
        device = torch.device(name or default_device())
    except RuntimeError as error:
        raise LaunchError(f"'{name}' is not a device; give cpu, cuda or cuda:NUMBER") from error
    count = torch.cuda.device_count() if device.type == "cuda" else 0
    if device.type == "cuda" and (device.index or 0) >= count:
        raise LaunchError(f"there is no device '{name}': torch sees {count} GPUs; give --device cpu")
    return device


def count_classes(model: nn.Module) -> int:
    """Return how many classes a model of mmseg or mmdet tells apart."""
    for path in ("decode_head", "roi_head.bbox_head", "bbox_head", "mask_head", "panoptic_head"):
        head = model
        for step in path.split("."):
            head = getattr(head, step, None)
            head = head[-1] if isinstance(head, nn.ModuleList) else head
        if head is not None and hasattr(head, "num_classes"):
            return 2 if getattr(head, "out_channels", None) == 1 else int(head.num_classes)  # one channel tells two classes apart
    raise LaunchError(f"{type(model).__name__} has no head with num_classes; mmstreet predicts with segmentors and instance segmentors")
