"""A refiner from its config file, for the classes of a model."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmstreet.files.config_files import find_config, shipped_names
from mmstreet.labels import find_table
from mmstreet.refine.refiners import Refiner
from mmstreet.registry import REFINERS


def read_refiner(path: str | Path) -> Config:
    """Read the ``refiner`` that a config sets.

    Args:
        path: Config file, or the name of one that comes with the package: ``'crf'``, ``'superpixel'``, …

    Raises:
        FileNotFoundError: If there is no such file and no such name.
        ValueError: If it sets no ``refiner``.
    """
    settings = Config.fromfile(find_config(path, refiner=True)).get("refiner")
    if settings is None:
        raise ValueError(
            f"config '{path}' sets no 'refiner'; the refiners that come with mmstreet: {', '.join(shipped_names(refiners=True))}"
        )
    return settings


def identify_refiner(settings: Mapping, refiner: Refiner | None = None) -> str:
    """Return a short text that changes with any setting of a refiner and, for weights in a local folder, with these."""
    weights = refiner.fingerprint if refiner is not None else ""
    text = json.dumps(dict(settings), sort_keys=True, default=str) + weights
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def build_refiner(settings: Mapping, classes: Sequence[str], *, label_rows: Sequence[Mapping] = ()) -> Refiner:
    """Build a refiner for the classes of a model.

    Args:
        settings: Its config.
        classes: Class names in the order of their ids.
        label_rows: Rows of the class table, if it is one of the user's: they say which groups its classes belong to.

    Raises:
        ImportError: If an extra is missing.
        OSError: If weights cannot be had.
        ValueError, TypeError, KeyError: If a setting does not exist or does not fit.
    """
    with DefaultScope.overwrite_default_scope("mmstreet"):  # else mmengine warns that the framework's scope has no refiners
        return REFINERS.build(settings, default_args=dict(classes=find_table({"label_rows": label_rows}) or tuple(classes)))
