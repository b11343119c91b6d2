"""A trained model of mmseg or mmdet as a plain function: RGB images in, arrays at their own size out."""

from __future__ import annotations

import copy
import json
import os
import warnings
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dataset import Compose
from mmengine.registry import MODELS, DefaultScope
from torch import Tensor, nn

from mmstreet.engine.checkpoint_fit import check_fit, plain_weights
from mmstreet.engine.checkpoints import latest_checkpoint
from mmstreet.engine.errors import LaunchError
from mmstreet.engine.image_pipeline import inference_steps, metainfo_of_config, scale_steps
from mmstreet.engine.launch import load_config
from mmstreet.engine.pretrained import fetch_weights
from mmstreet.engine.safe_load import read_checkpoint
from mmstreet.predict.exported import fingerprint_of
from mmstreet.predict.result import Instances, check_palette


def load_trained(
    config: str | Path,
    checkpoint: str | Path,
    *,
    device: str | None = None,
    trust: bool = False,
    cfg_options: Mapping | None = None,
) -> SemanticModel | InstanceModel:
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
    path = _find_checkpoint(checkpoint)
    try:
        content = read_checkpoint(path, trust=trust)
    except LaunchError as error:
        raise LaunchError(
            f"{str(error).partition(';')[0]}; give a file of weights only, or add --trust-checkpoint (trust=True) for one that "
            "you made yourself"
        ) from None
    except (OSError, RuntimeError, EOFError) as error:
        raise LaunchError(
            f"checkpoint '{path}' cannot be read ({str(error).partition(chr(10))[0]}); it may be cut off: fetch it again"
        ) from error
    place = choose_device(device)
    scope = cfg.get("default_scope", "mmseg")
    model = build_model(cfg)
    check_fit(model, content, path)
    model.load_state_dict({k: v for k, v in plain_weights(content).items() if k in model.state_dict()}, strict=False)
    meta = {str(key).lower(): value for key, value in (content.get("meta", {}).get("dataset_meta") or {}).items()}
    if not meta.get("classes"):
        meta = metainfo_of_config(cfg)
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
    kind = SemanticModel if scope == "mmseg" else InstanceModel
    return kind(
        model.to(place).eval(),
        cfg,
        classes=names,
        palette=(meta.get("palette") or ())[:width],
        device=place,
        fingerprint=fingerprint_of(json.dumps([cfg.model, inference_steps(cfg)], default=str, sort_keys=True).encode(), path.read_bytes()),
    )


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
            return int(head.num_classes)
    raise LaunchError(f"{type(model).__name__} has no head with num_classes; mmstreet predicts with segmentors and instance segmentors")


class _TrainedModel:
    """Images through the config's test pipeline and the model, in batches of equal size."""

    def __init__(
        self,
        model: nn.Module,
        cfg: Config,
        *,
        classes: tuple[str, ...],
        palette: Sequence | None,
        device: torch.device,
        fingerprint: str,
    ) -> None:
        self.model = model
        self.cfg = cfg
        self.classes = classes
        self.palette = check_palette(palette, len(classes))
        self.device = device
        self.fingerprint = fingerprint
        self._scope = cfg.get("default_scope", "mmseg")
        self._pipelines: dict[float, Compose] = {}

    def _pipeline(self, scale: float) -> Compose:
        if scale not in self._pipelines:
            steps = inference_steps(self.cfg)
            if scale != 1:
                steps = scale_steps(steps, scale)
            with DefaultScope.overwrite_default_scope(self._scope):
                self._pipelines[scale] = Compose(steps)
        return self._pipelines[scale]

    def _prepare(self, images: Sequence[np.ndarray], scale: float) -> list[dict]:
        pipeline = self._pipeline(scale)
        samples = []
        for image in images:
            # OpenMMLab's own loaders hand BGR to the pipeline; which order the network wants is the preprocessor's setting.
            array = np.ascontiguousarray(image[..., ::-1])
            shape = image.shape[:2]
            samples.append(
                pipeline(dict(img=array, img_path="", img_id=0, img_shape=shape, ori_shape=shape, height=shape[0], width=shape[1]))
            )
        return samples

    def _batches(self, images: Sequence[np.ndarray], scale: float) -> Iterator[tuple[list[int], dict]]:
        """Give the images in batches that share both the size of the input and that of the image."""
        samples = self._prepare(images, scale)
        keys = [(tuple(sample["inputs"].shape), image.shape) for sample, image in zip(samples, images)]
        for key in dict.fromkeys(keys):
            chosen = [i for i, other in enumerate(keys) if other == key]
            batch = {name: [samples[i][name] for i in chosen] for name in ("inputs", "data_samples")}
            yield chosen, self.model.data_preprocessor(batch, False)


class SemanticModel(_TrainedModel):
    """A segmentor of mmseg; see :func:`load_trained`."""

    kind = "semantic"

    def predict_labels(self, images: Sequence[np.ndarray]) -> list[np.ndarray]:
        """Return train ids, uint8 ``[H, W]``, of RGB images, uint8 ``[H, W, 3]``."""
        found: list = [None] * len(images)
        for i, sample in self._run(images, 1.0):
            found[i] = sample.pred_sem_seg.data[0].to(torch.uint8).cpu().numpy()
        return found

    def predict_probs(self, images: Sequence[np.ndarray], *, scale: float = 1.0) -> list[np.ndarray]:
        """Return probabilities, float32 ``[C, H, W]``, of RGB images, seen at ``scale`` times the usual size."""
        found: list = [None] * len(images)
        for i, sample in self._run(images, scale):
            found[i] = _to_probs(sample.seg_logits.data).cpu().numpy()
        return found

    @torch.inference_mode()
    def _run(self, images: Sequence[np.ndarray], scale: float) -> Iterator[tuple[int, object]]:
        for chosen, batch in self._batches(images, scale):
            yield from zip(chosen, self.model.predict(batch["inputs"], batch["data_samples"]))


def _to_probs(scores: Tensor) -> Tensor:
    """mmseg gives logits for several channels, and for a single one the probability of class 1 already."""
    return torch.cat([1 - scores, scores]) if len(scores) == 1 else scores.float().softmax(0)


class InstanceModel(_TrainedModel):
    """An instance segmentor of mmdet; see :func:`load_trained`."""

    kind = "instance"

    @torch.inference_mode()
    def predict_instances(self, images: Sequence[np.ndarray], *, scale: float = 1.0) -> list[Instances]:
        """Return the objects on RGB images, uint8 ``[H, W, 3]``, the most certain first.

        Raises:
            LaunchError: If the model gives boxes without masks.
        """
        found: list = [None] * len(images)
        for chosen, batch in self._batches(images, scale):
            for i, sample in zip(chosen, self.model.predict(batch["inputs"], batch["data_samples"], rescale=True)):
                objects = sample.pred_instances
                if "masks" not in objects:
                    raise LaunchError(
                        f"{type(self.model).__name__} predicts boxes without masks; mmstreet predict needs a model with a mask head"
                    )
                order = objects.scores.argsort(descending=True, stable=True)
                found[i] = Instances(
                    np.asarray(objects.masks[order].cpu(), bool).reshape(len(order), *images[i].shape[:2]),
                    *(x[order].cpu().numpy() for x in (objects.bboxes.float(), objects.labels, objects.scores.float())),
                )
        return found


def _find_checkpoint(checkpoint: str | Path) -> Path:
    if "://" in str(checkpoint):
        return fetch_weights(str(checkpoint))
    path = Path(checkpoint)
    if path.is_dir():
        found = latest_checkpoint(path)
        if found is None:
            raise LaunchError(f"there is no complete checkpoint in '{path}'; give the path of a .pth file")
        return found
    if not path.is_file():
        beside = ", ".join(sorted(x.name for x in path.parent.glob("*.pth"))) or "no .pth file"
        raise LaunchError(f"checkpoint '{path}' does not exist; its folder has: {beside}")
    return path
