"""What trained models of both kinds share: from RGB images to the batches that a network of OpenMMLab wants."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import cv2
import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.logging import print_log
from mmengine.registry import DefaultScope
from torch import nn

from mmstreet.engine.amp import refuse_bfloat16
from mmstreet.engine.errors import LaunchError
from mmstreet.files.colors import check_palette
from mmstreet.files.parallel import available_cores
from mmstreet.predict.image_pipeline import inference_steps, scale_steps
from mmstreet.predict.reading import reading_of


class TrainedModel:
    """Base of both kinds: images through the config's test pipeline, in batches of equal size.

    Args:
        model: The network, filled and in evaluation mode.
        cfg: Its config.
        classes: Class names in the order of their ids.
        palette: RGB of each class.
        device: Where the network is.
        fingerprint: Names what decides its results.
        label_rows: Rows of the class table, if it is one of the user's.
        temperature: Makes confidences mean something; ``None`` where none was fitted.
        about: What is known of a published model.
    """

    def __init__(
        self,
        model: nn.Module,
        cfg: Config,
        *,
        classes: tuple[str, ...],
        palette: Sequence | None,
        device: torch.device,
        fingerprint: str,
        label_rows: Sequence[Mapping] = (),
        temperature: float | None = None,
        about: str | None = None,
    ) -> None:
        self.model = model
        self.cfg = cfg
        self.name, self.about = Path(cfg.filename).name, about
        self.classes = classes
        self.palette = check_palette(palette, len(classes))
        self.device = device
        self.fingerprint = fingerprint
        self.label_rows = label_rows
        self.temperature = temperature
        self.reading = reading_of(cfg)
        self._scope = cfg.get("default_scope", "mmseg")
        self._pipelines: dict[float, list[Compose]] = {}
        self.queues = device.type == "cuda"
        """Whether the device works through a queue beside the processor."""
        if self.queues and hasattr(getattr(model, "data_preprocessor", None), "_non_blocking"):
            model.data_preprocessor._non_blocking = True
        self.half = False

    def speed_up(self, *, half: bool = False, channels_last: bool = False) -> None:
        """Let the network compute in half precision, or lay out its maps with their channels last; what follows it stays float32.

        Half precision is float16 on a GPU and bfloat16 on a CPU; one that is not fast in it stays in float32, and says so.

        Raises:
            LaunchError: For a detector in half precision on a CPU.
        """
        if half and self.device.type == "cpu":
            if self.kind == "instance":
                raise LaunchError("half precision on a CPU is bfloat16, which mmcv's NMS and RoIAlign do not take; leave --half out")
            reason = refuse_bfloat16()
            if reason is not None:
                print_log(f"--half changes nothing here: {reason}; predictions stay in float32", logger="current", level=logging.WARNING)
                half = False
        self.half = half
        if channels_last:
            self.model.to(memory_format=torch.channels_last)

    def precision(self) -> torch.autocast:
        """Return the context in which the network runs."""
        kind = self.device.type
        return torch.autocast(kind, torch.bfloat16 if kind == "cpu" else torch.float16, enabled=self.half)

    @property
    def orientation(self) -> str:
        """How the config's loader treats orientation tags, ``'stored'`` or ``'exif'``."""
        return self.reading.orientation

    def _copies_of_pipeline(self, scale: float, count: int) -> list[Compose]:
        known = self._pipelines.setdefault(scale, [])
        if len(known) < count:
            steps = inference_steps(self.cfg)
            if scale != 1:
                steps = scale_steps(steps, scale)
            with DefaultScope.overwrite_default_scope(self._scope):
                known += [Compose(copy.deepcopy(steps)) for _ in range(count - len(known))]
        return known[:count]

    def _prepare(self, images: Sequence[np.ndarray], scale: float) -> list[dict]:
        """Take images through the pipeline; those that a GPU waits for, several at a time, by threads with steps of their own."""
        threads = min(max(1, len(images)), available_cores()) if self.queues else 1
        pipelines = self._copies_of_pipeline(scale, threads)
        if threads == 1:
            return [self._prepare_one(image, pipelines[0]) for image in images]
        samples: list = [None] * len(images)

        def work(first: int) -> None:
            for i in range(first, len(images), threads):
                samples[i] = self._prepare_one(images[i], pipelines[first])

        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(work, range(threads)))
        return samples

    def _prepare_one(self, image: np.ndarray, pipeline: Compose) -> dict:
        # OpenMMLab's own loaders hand BGR to the pipeline; which order the network wants is the preprocessor's setting.
        array = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY if self.reading.grey else cv2.COLOR_RGB2BGR)
        array = array.astype(np.float32) if self.reading.to_float32 else array
        shape = image.shape[:2]
        sample = pipeline(dict(img=array, img_path="", img_id=0, img_shape=shape, ori_shape=shape, height=shape[0], width=shape[1]))
        if self.device.type == "cuda":
            sample["inputs"] = sample["inputs"].pin_memory()
        return sample

    def make_batches(self, images: Sequence[np.ndarray], scale: float) -> Iterator[tuple[list[int], dict]]:
        """Give the images in batches that share both the size of the input and that of the image."""
        samples = self._prepare(images, scale)
        keys = [(tuple(sample["inputs"].shape), image.shape) for sample, image in zip(samples, images)]
        for key in dict.fromkeys(keys):
            chosen = [i for i, other in enumerate(keys) if other == key]
            batch = {name: [samples[i][name] for i in chosen] for name in ("inputs", "data_samples")}
            yield chosen, self.model.data_preprocessor(batch, False)
