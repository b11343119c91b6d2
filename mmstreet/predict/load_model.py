"""Which kind of model a name means, and the refiner behind it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mmstreet.deps import require
from mmstreet.files.hub import find_exported
from mmstreet.predict.exported import SUFFIXES, is_exported, load_exported
from mmstreet.predict.named_models import is_config, shipped_model

if TYPE_CHECKING:
    from mmstreet.refine.refiners import Refiner


def load_model(config: str | Path | None, checkpoint: str | Path | None, **settings) -> object:
    """Return the model of a config and a checkpoint, of an exported file, of the hub, or the one in the package.

    Args:
        config: As in :class:`~mmstreet.predict.predictor.Predictor`.
        checkpoint: Likewise.
        settings: ``device``, ``trust`` and ``cfg_options``, likewise.

    Raises:
        ValueError: If a setting does not go with the kind of model, or a config has no checkpoint.
        ImportError: If OpenMMLab is needed and not installed.
    """
    config = shipped_model() if config is None else config
    if checkpoint is None and not is_exported(config) and not is_config(config):
        config = find_exported(config) or config
    if is_exported(config):
        if checkpoint is not None:
            raise ValueError(f"'{config}' holds its own weights; leave out the checkpoint '{checkpoint}'")
        if settings["cfg_options"]:
            raise ValueError(f"'{config}' has no config to overrule; leave out the options {', '.join(settings['cfg_options'])}")
        return load_exported(config, device=settings["device"])
    if checkpoint is None and is_config(config):
        raise ValueError(
            f"'{config}' needs a checkpoint; exported files ({', '.join(SUFFIXES)}) and models of the hub have their own weights"
        )
    require("mmengine", extra="light")
    if checkpoint is None:
        from mmstreet.predict.hub_model import load_hub_model

        return load_hub_model(str(config), device=settings["device"], cfg_options=settings["cfg_options"])
    from mmstreet.predict.inference import load_trained

    return load_trained(config, checkpoint, **settings)


def make_refiner(refine: object, classes: Sequence[str], label_rows: Sequence[Mapping]) -> Refiner:
    """Return a refiner as it is, or build the one of a config.

    Args:
        refine: A refiner, its config as a dict, or a config file with ``refiner``.
        classes: Class names of the model.
        label_rows: Rows of the model's class table, if it is one of the user's.

    Raises:
        ImportError: If it is a config and OpenMMLab is not installed.
    """
    if callable(refine):
        return refine
    require("mmengine", extra="light")
    from mmstreet.refine.configured import build_refiner, read_refiner

    return build_refiner(read_refiner(refine) if isinstance(refine, str | Path) else dict(refine), classes, label_rows=label_rows)
