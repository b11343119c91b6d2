"""How sure a model is of each pixel, after the temperature that ``mmstreet calibrate`` stored beside the checkpoint."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np

from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.predict.identity import identify_file, read_object

ENDING = ".calibration.json"


def calibration_path(checkpoint: str | Path) -> Path:
    """Return where the temperature of a checkpoint is stored: beside it, under its name."""
    return Path(checkpoint).with_suffix(ENDING)


def read_temperature(checkpoint: str | Path) -> float | None:
    """Return the temperature of a checkpoint; ``None`` if none was fitted.

    Raises:
        ValueError: If the file is damaged, or was fitted to other weights.
    """
    path = calibration_path(checkpoint)
    if not path.is_file():
        return None
    content = read_object(path) or {}
    temperature = content.get("temperature")
    if not isinstance(temperature, int | float) or isinstance(temperature, bool) or not 0 < temperature < math.inf:
        raise ValueError(f"'{path}' holds no temperature; delete it, or run mmstreet calibrate again")
    if content.get("sha256") != identify_file(checkpoint)["sha256"]:
        raise ValueError(f"'{path}' was fitted to other weights than '{checkpoint}'; delete it, or run mmstreet calibrate again")
    return float(temperature)


def temper_probs(probs: np.ndarray, temperature: float) -> np.ndarray:
    """Return the probabilities that logits divided by a temperature would give, float32 ``[C, H, W]``; no order of classes changes."""
    if temperature == 1:
        return probs
    logs = np.log(np.maximum(probs, np.finfo(np.float32).tiny)) / np.float32(temperature)
    odds = np.exp(logs - logs.max(0))
    return odds / odds.sum(0)


def measure_entropy(probs: np.ndarray) -> np.ndarray:
    """Return the entropy of probabilities ``[C, H, W]`` by its greatest value, ``ln C``: float32 ``[H, W]`` in ``[0, 1]``."""
    return -(probs * np.log(np.maximum(probs, np.finfo(np.float32).tiny))).sum(0) / np.float32(math.log(len(probs)))


def abstain_below(labels: np.ndarray, confidence: np.ndarray, threshold: float) -> np.ndarray:
    """Return labels, uint8 ``[H, W]``, in which pixels of less confidence are unknown, 255."""
    return np.where(confidence < threshold, np.uint8(IGNORE_INDEX), labels)
