"""How a config reads image files, so that prediction reads them in the same way."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.config import Config
from mmengine.registry import TRANSFORMS, DefaultScope

from mmstreet.files.images import as_rgb, open_header, read_regular_file
from mmstreet.predict.image_pipeline import test_steps

_AS_OURS = {"color": "exif", "color_ignore_orientation": "stored"}
"""mmcv's ``color_type`` that :func:`~mmstreet.files.images.read_image` reads alike, and the orientation that this means."""


@dataclass(frozen=True)
class Reading:
    """What the first step of a test pipeline does.

    Attributes:
        orientation: ``'stored'`` or ``'exif'``; see :func:`~mmstreet.files.images.read_image`.
        grey: Whether the network takes one channel.
        to_float32: Whether the steps after it get float32.
        load: The config's own step from ``img_path`` to ``img``, where the settings are others than ours; else ``None``.
    """

    orientation: str = "stored"
    grey: bool = False
    to_float32: bool = False
    load: Callable[[dict], dict] | None = None

    def read(self, path: str | Path) -> np.ndarray:
        """Read a file as RGB, uint8 ``[H, W, 3]``; of a grey one all channels are the same.

        Raises:
            FileNotFoundError: If there is no such file.
            ValueError: If it cannot be read, or has other channels than one or three of 8 bits.
        """
        if self.load is None:
            return as_rgb(path, orientation=self.orientation)
        open_header(read_regular_file(path), path)
        image = np.asarray(self.load({"img_path": str(path)})["img"])
        if self.to_float32 and np.array_equal(image, image.astype(np.uint8)):
            image = image.astype(np.uint8)
        if image.dtype != np.uint8 or image.ndim not in (2, 3) or (image.ndim == 3 and image.shape[2] not in (1, 3)):
            raise ValueError(
                f"the config's loader gives {image.dtype} {list(image.shape)} for '{path}'; expected one or three channels of 8 bits"
            )
        return as_rgb(image if image.ndim == 2 else image[..., ::-1])


def reading_of(cfg: Config) -> Reading:
    """Find out how a config's test pipeline reads images."""
    step: Mapping = next((step for step in test_steps(cfg) if _name(step).startswith("LoadImage")), {"type": "LoadImage"})
    to_float32, kind = bool(step.get("to_float32")), step.get("color_type", "color")
    one_mean = len((cfg.model.get("data_preprocessor") or {}).get("mean") or ()) == 1
    grey = kind.startswith("grayscale") or (kind == "unchanged" and one_mean)
    if _name(step) == "LoadImage":
        return Reading(step.get("orientation", "stored"), grey, to_float32)
    if _name(step) == "LoadImageFromFile" and kind in _AS_OURS and step.get("imdecode_backend", "cv2") in ("cv2", None):
        return Reading(_AS_OURS[kind], grey, to_float32)
    with DefaultScope.overwrite_default_scope(cfg.get("default_scope", "mmseg")):
        return Reading("stored" if "ignore_orientation" in kind else "exif", grey, to_float32, TRANSFORMS.build(dict(step)))


def _name(step: Mapping) -> str:
    kind = step["type"]
    return (kind if isinstance(kind, str) else kind.__name__).rpartition(".")[2]
