"""An exported model in the place of a network, so that a test loop with all its metrics runs on a file of ONNX or TorchScript."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.structures import BaseDataElement, PixelData
from torch import Tensor, nn

from mmstreet.engine.errors import LaunchError
from mmstreet.files.argmax import first_argmax
from mmstreet.files.dataset_parts import dataset_parts
from mmstreet.predict.exported import is_exported, load_exported
from mmstreet.registry import MODELS

_RESIZING = ("Resize", "Pad", "ResizeToMultiple")


@MODELS.register_module()
class ExportedSegmentor(BaseModel):
    """Predicts as ``mmstreet predict FILE`` does; images come at their own size and are resized and padded as the file says.

    Args:
        path: The ``.onnx`` or ``.torchscript`` file.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it cannot be read.
        ImportError: If its runtime is not installed.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self.model = load_exported(path)
        # Several processes wrap the model, and the wrapper asks for a weight.
        self.unused = nn.Parameter(torch.zeros(()))

    def forward(self, inputs: Sequence[Tensor], data_samples: Sequence[BaseDataElement], mode: str = "predict") -> Sequence:
        """Predict images as the pipeline loads them, BGR ``[3, H, W]``; scores and classes go into the samples.

        Raises:
            ValueError: If an image has not three channels.
        """
        images = [np.ascontiguousarray(image.cpu().numpy().transpose(1, 2, 0)[..., ::-1]) for image in inputs]
        for image, logits, sample in zip(images, self.model.predict_logits(images), data_samples, strict=True):
            if image.shape[2] != 3:
                raise ValueError(f"{sample.get('img_path')} has {image.shape[2]} channels, an exported model takes three")
            sample.seg_logits = PixelData(data=torch.from_numpy(logits))
            sample.pred_sem_seg = PixelData(data=torch.from_numpy(first_argmax(logits).astype(np.int64))[None])
        return data_samples


def use_exported(cfg: Config) -> None:
    """Let a test run on the exported file that ``load_from`` names, in place of the config's network; others are left as they are.

    Steps of the test pipeline that resize or pad are left out, for the file does that itself.

    Raises:
        LaunchError: If the config is one of instances, or its test pipeline resizes in a way that cannot be left out.
    """
    if not cfg.get("load_from") or not is_exported(cfg.load_from):
        return
    if cfg.get("default_scope", "mmseg") != "mmseg":
        raise LaunchError(f"'{cfg.load_from}' is a semantic model; the config '{cfg.filename}' finds instances")
    cfg.model = dict(type="mmstreet.ExportedSegmentor", path=str(cfg.load_from))
    cfg.custom_hooks = [hook for hook in cfg.get("custom_hooks") or () if str(hook["type"]).rpartition(".")[2] != "EMAHook"]
    for part in dataset_parts(cfg.test_dataloader.dataset):
        part["pipeline"] = [step for step in part.get("pipeline", ()) if str(step["type"]).rpartition(".")[2] not in _RESIZING]


def check_classes(model: ExportedSegmentor, classes: Sequence[str]) -> None:
    """Check that an exported model has the classes of a data set, which may have "background" after them.

    Raises:
        LaunchError: If they differ.
    """
    names = tuple(classes)
    if model.model.classes not in (names, names[:-1] if names[-1:] == ("background",) else names):
        raise LaunchError(
            f"'{model.model.path}' has the classes {', '.join(model.model.classes)}; those of the data set are {', '.join(names)}"
        )
