"""Checks that a file holds a checkpoint of a model, and the record of a training, before any of it is used."""

from __future__ import annotations

import math
import numbers
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer
from torch import Tensor

from mmstreet.engine.errors import LaunchError

RECORD = "mmstreet_training"
"""Entry of a checkpoint that names what trained it; see :mod:`~mmstreet.engine.training_state`."""


def check_content(checkpoint: object, path: str | Path) -> None:
    """Refuse what is no checkpoint of a model, and weights that are not finite.

    Args:
        checkpoint: What the file holds.
        path: The file, for the message.

    Raises:
        LaunchError: In one sentence that names the file, the entry and what was expected.
    """
    expect(isinstance(checkpoint, Mapping), path, f"a dict with 'state_dict', but it holds {kind_of(checkpoint)}")
    weights = checkpoint.get("state_dict", checkpoint)
    expect(isinstance(weights, Mapping), path, f"a dict of tensors in 'state_dict', but that is {kind_of(weights)}")
    expect(len(weights) > 0, path, "weights, but it has none")
    for name, value in weights.items():
        expect(isinstance(name, str), path, f"weights by name, but one is called {name!r:.40}")
        if name.endswith("_extra_state"):  # what a module stores of itself, of any type
            continue
        advice = "" if "state_dict" in checkpoint else " (there is no 'state_dict')"
        expect(is_plain(value), path, f"tensors only as weights, but '{name:.60}' is {kind_of(value)}{advice}")
        # A sum takes a fraction of the time of a look at every value, but may overflow.
        numbers_only = value.is_floating_point() or value.is_complex()
        if numbers_only and not value.sum().isfinite() and not torch.isfinite(value).all():
            raise LaunchError(
                f"checkpoint '{path}' is not sound: its weight '{name}' has values that are infinite or not a number; "
                "use a checkpoint from before the training broke"
            )
    meta = checkpoint.get("meta", {})
    expect(isinstance(meta, Mapping), path, f"a dict in 'meta', but that is {kind_of(meta)}")
    of_dataset = {} if meta.get("dataset_meta") is None else meta["dataset_meta"]
    expect(isinstance(of_dataset, Mapping), path, f"a dict in meta['dataset_meta'], but that is {kind_of(of_dataset)}")
    for key, value in of_dataset.items():
        if str(key).lower() == "classes" and value is not None:
            expect(is_list(value, str), path, f"a list of class names in meta['dataset_meta']['{key}'], but that is {value!r:.60}")
        if str(key).lower() == "palette" and value is not None:
            expect(_is_palette(value), path, f"RGB of each class in meta['dataset_meta']['{key}'], but that is {value!r:.60}")


def check_resumable(checkpoint: Mapping, path: str | Path) -> None:
    """Refuse a checkpoint whose record of the training is missing or of wrong types.

    Args:
        checkpoint: Content of the file, after :func:`check_content`.
        path: The file, for the message.

    Raises:
        LaunchError: In one sentence that names the file, the entry and what was expected.
    """
    meta = checkpoint.get("meta", {})
    for key in ("epoch", "iter"):
        text = f"how far training came in meta['{key}']"
        expect(key in meta, path, f"{text}, which is missing: files of weights only cannot be resumed, name them in load_from instead")
        expect(_is_count(meta[key]), path, f"{text}, but that is {meta[key]!r:.60}")
    seed = meta.get("seed")
    expect(seed is None or _is_count(seed), path, f"a whole number in meta['seed'], but that is {seed!r:.60}")
    hub = checkpoint.get("message_hub")
    for key in ("log_scalars", "runtime_info", "resumed_keys"):
        part = hub.get(key) if isinstance(hub, Mapping) else None
        expect(isinstance(part, Mapping), path, f"the training's log in message_hub['{key}'], but that is {kind_of(part)}")
        expect(all(isinstance(name, str) for name in part), path, f"names as keys of message_hub['{key}']")
    for name, buffer in hub["log_scalars"].items():
        sound = isinstance(buffer, HistoryBuffer) and isinstance(getattr(buffer, "_log_history", None), np.ndarray)
        expect(sound, path, f"the history of '{name:.40}' in message_hub['log_scalars'], but that is {kind_of(buffer)}")
    for key, value in hub["runtime_info"].items():
        if key.startswith("best_score"):
            expect(is_number(value), path, f"a number in the log's '{key:.60}', but that is {value!r:.60}")
        elif key.startswith("best_ckpt") or key == "last_ckpt":
            expect(value is None or isinstance(value, str), path, f"a path in the log's '{key:.60}', but that is {value!r:.60}")
        elif key == "keep_ckpt_ids":
            sound = isinstance(value, Sequence) and all(map(_is_count, value))
            expect(sound, path, f"numbers of checkpoints in the log's '{key}', but that is {value!r:.60}")
    for key in ("mmstreet_replay", "mmstreet_schedule", RECORD):
        record = checkpoint.get(key, {})
        sound = isinstance(record, Mapping) and all(isinstance(value, str) or _is_count(value) for value in record.values())
        expect(sound, path, f"a dict of numbers and names in '{key}', but that is {record!r:.60}")


def expect(holds: object, path: str | Path, what: str) -> None:
    """Raise the one sentence unless something holds."""
    if not holds:
        raise LaunchError(f"checkpoint '{path}' is not what it should be: expected {' '.join(what.split())}")


def is_plain(value: object) -> bool:
    """Whether something is a dense tensor with values."""
    return isinstance(value, Tensor) and value.layout is torch.strided and not value.is_quantized and value.device.type != "meta"


def is_number(value: object) -> bool:
    """Whether something is a finite number or a tensor of one, or infinity."""
    if isinstance(value, Tensor):
        return value.numel() == 1 and bool(torch.isfinite(value).all())
    return isinstance(value, numbers.Real | np.number | np.bool_) and not math.isnan(value)


def _is_count(value: object) -> bool:
    return isinstance(value, numbers.Integral) and not isinstance(value, bool) and 0 <= value < 2**63


def is_list(value: object, kind: type) -> bool:
    """Whether something is a list or tuple of one type."""
    return isinstance(value, list | tuple) and all(isinstance(item, kind) for item in value)


def _is_palette(value: object) -> bool:
    rows = value.tolist() if isinstance(value, np.ndarray) else value
    if not isinstance(rows, list | tuple):
        return False
    return all(is_list(row, int) and len(row) == 3 and all(0 <= channel <= 255 for channel in row) for row in rows)


def kind_of(value: object) -> str:
    """Return the type of something with its article."""
    name = "None" if value is None else type(value).__name__
    return name if value is None else f"{'an' if name[0] in 'aeiou' else 'a'} {name}"
