"""Segmentation models of the transformers library: what their folder or hub page says, and their weights."""

from __future__ import annotations

import functools
import json
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import ModuleType

import torch
from torch import nn

from mmstreet.deps import require
from mmstreet.files.hub import check_place, load_local_first

FILES = ("config.json", "preprocessor_config.json", "model.safetensors")
UNIVERSAL = ("mask2former", "maskformer", "oneformer", "eomt", "eomt_dinov3")
"""Model types that answer with queries, a mask and a class each."""
SQUARE = ("eomt", "eomt_dinov3", "beit", "data2vec-vision")
"""Model types whose position embeddings fit inputs of one size only; those of DPT fit every square."""
LICENCES = {
    "nvidia/": "NVIDIA Source Code License for SegFormer: non-commercial",
    "openmmlab/": "MIT",
    "facebook/mask2former": "MIT code; weights as their training data allow",
    "facebook/maskformer": "CC-BY-NC 4.0: non-commercial",
    "shi-labs/oneformer": "MIT",
    "tue-mps/": "MIT",
    "Intel/dpt": "Apache-2.0",
    "microsoft/beit": "Apache-2.0",
    "apple/": "Apple sample code licence",
}
"""Licences of known publishers' checkpoints, by the beginning of the name; the training data have terms of their own."""

_IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])
_HALVES = ([0.5] * 3, [0.5] * 3)
_DEFAULTS = {"Beit": _HALVES, "DPT": _HALVES, "MobileNetV2": _HALVES}
"""Mean and standard deviation of processors that leave them out of their file; of all others ImageNet's."""


def transformers() -> ModuleType:
    """Return the transformers library.

    Raises:
        ImportError: If it is not installed.
    """
    return require("transformers", extra="hub")


def read_config(model: str | Path) -> object:
    """Return the ``PreTrainedConfig`` of a segmentation model.

    Raises:
        OSError: If the model cannot be had; one sentence.
        ValueError: If it is no segmentation model.
    """
    check_place(model)
    config = load_local_first(transformers().AutoConfig.from_pretrained, model, files=FILES)
    if config.model_type not in (*UNIVERSAL, *_semantic_types()):
        raise ValueError(
            f"'{model}' is of type '{config.model_type}', expected one of the semantic ({', '.join(_semantic_types())}) or universal "
            f"({', '.join(UNIVERSAL)}) segmentation models"
        )
    return config


def input_size(config: object) -> tuple[int, int] | None:
    """Return height and width of the only input that a network takes; ``None`` if there is a choice."""
    size = getattr(config, "image_size", None) if config.model_type in SQUARE else None
    return (size, size) if isinstance(size, int) else None if size is None else tuple(size)


def is_universal(config: object) -> bool:
    """Whether a model answers with queries."""
    return config.model_type in UNIVERSAL


def class_names(config: object) -> tuple[str, ...]:
    """Return the names of a model's classes in the order of its logits."""
    names = {int(i): str(name) for i, name in (config.id2label or {}).items()}
    return tuple(names.get(i, f"LABEL_{i}") for i in range(config.num_labels))


def read_processor(model: str | Path) -> dict:
    """Return what a model's own processor does, from its file; the classes of the library would need torchvision for that.

    Returns:
        ``mean`` and ``std`` in 0…255, ``rgb``, ``size``: ``{"height", "width"}``, ``{"shortest_edge", …}`` or ``None``, and ``split``:
        whether the longer side is cut into windows of the shorter.

    Raises:
        OSError: If there is no such file.
    """
    check_place(model)
    content = load_local_first(_read_processor_file, model, files=FILES)
    kind = str(content.get("image_processor_type") or content.get("feature_extractor_type") or "")
    mean, std = next((pair for name, pair in _DEFAULTS.items() if kind.startswith(name)), _IMAGENET)
    mean, std = content.get("image_mean") or mean, content.get("image_std") or std
    if not content.get("do_normalize", not kind.startswith("MobileViT")):
        mean, std = [0.0] * 3, [1.0] * 3
    factor = float(content.get("rescale_factor", 1 / 255)) if content.get("do_rescale", True) else 1.0
    size = content.get("size") if content.get("do_resize", True) else None
    if isinstance(size, int):  # of older files; what it means differs by class
        by_edge = kind.startswith(("Mask", "OneFormer", "MobileViT", "Eomt"))
        size = {"shortest_edge": size, "longest_edge": content.get("max_size")} if by_edge else {"height": size, "width": size}
    return {
        "mean": [float(x) / factor for x in mean],
        "std": [float(x) / factor for x in std],
        "rgb": not content.get("do_flip_channel_order", kind.startswith("MobileViT")),
        "size": size,
        "split": bool(content.get("do_split_image")),
    }


def _read_processor_file(model: str, **how: bool) -> dict:
    from transformers.utils import cached_file

    for name, inner in (("preprocessor_config.json", None), ("processor_config.json", "image_processor")):
        path = cached_file(model, name, _raise_exceptions_for_missing_entries=False, **how)
        if path is not None:
            content = json.loads(Path(path).read_text(encoding="utf-8"))
            return content.get(inner, content) if inner else content
    raise FileNotFoundError("preprocessor_config.json is missing")


def make_network(config: object) -> nn.Module:
    """Return the network of a config with random weights, without the auxiliary head that only its own loss reads."""
    library = transformers()
    kind = library.AutoModelForUniversalSegmentation if is_universal(config) else library.AutoModelForSemanticSegmentation
    network = kind.from_config(config, dtype=torch.float32)
    if getattr(network, "auxiliary_head", None) is not None:
        network.auxiliary_head = None
    return network


def load_weights(network: nn.Module, model: str | Path) -> list[str]:
    """Fill a network with the published weights and return the names of tensors that the checkpoint lacks or has in another shape.

    Raises:
        OSError: If the weights cannot be had, or are damaged; one sentence.
        ValueError: If the checkpoint has nothing for this network, or values that are not finite.
    """
    kind = type(network)
    read = functools.partial(
        kind.from_pretrained, config=network.config, dtype=torch.float32, ignore_mismatched_sizes=True, output_loading_info=True
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        level = transformers().logging.get_verbosity()
        transformers().logging.set_verbosity_error()  # it lists what is drawn anew; the caller says that in a sentence
        try:
            loaded, info = load_local_first(read, model, files=FILES)
        finally:
            transformers().logging.set_verbosity(level)
    tensors = loaded.state_dict()
    new = {*info["missing_keys"], *(str(key) for key, *_ in info.get("mismatched_keys", ()))} & tensors.keys()
    own = network.state_dict()
    if not {name for name, _ in network.named_parameters()} - new:
        raise ValueError(f"'{model}' has no weights for {kind.__name__}; give weights of this model")
    broken = [name for name, value in tensors.items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise ValueError(f"'{model}' holds values that are not finite (nan or infinity), first in '{broken[0]}'; fetch it again")
    network.load_state_dict({name: value for name, value in tensors.items() if name in own})
    return sorted(name for name in new if name in own)


def load_task(model: str | Path, length: int) -> torch.Tensor:
    """Return OneFormer's task "the task is semantic" as tokens, float ``[1, length]``.

    Raises:
        OSError: If the model's tokenizer cannot be had.
    """

    def read(name: str, **how: bool) -> torch.Tensor:
        tokenizer = transformers().CLIPTokenizer.from_pretrained(name, **how)
        words = tokenizer(["the task is semantic"], padding="max_length", max_length=length, truncation=True)
        tokens = torch.tensor(words["input_ids"]) * torch.tensor(words["attention_mask"])
        if tokens.unique().numel() < 3:
            raise FileNotFoundError(f"'{model}' has no files of a tokenizer")
        return tokens.float()

    return load_local_first(read, model, files=(*FILES, "tokenizer_config.json", "vocab.json", "merges.txt"))


def licence_of(model: str | Path) -> str | None:
    """Return the licence of a checkpoint as far as it is known: of the card in its folder, or of its publisher."""
    card = Path(model) / "README.md"
    if card.is_file():
        head = card.read_text(encoding="utf-8", errors="replace").split("---")
        lines = [line for line in (head[1] if len(head) > 2 else "").splitlines() if line.startswith("license:")]
        if lines:
            return lines[0].partition(":")[2].strip()
    return next((licence for start, licence in LICENCES.items() if str(model).startswith(start)), None)


def resize_step(processor: Mapping) -> list[dict]:
    """Return the step of a test pipeline that resizes as a processor does; none where it does not."""
    size = processor["size"]
    if not size:
        return []
    if "height" in size:
        return [dict(type="Resize", scale=(int(size["width"]), int(size["height"])), keep_ratio=False)]
    short = int(size["shortest_edge"]) if size.get("shortest_edge") else int(size["longest_edge"])
    return [dict(type="Resize", scale=(int(size.get("longest_edge") or 100 * short), short), keep_ratio=True)]


def _semantic_types() -> Sequence[str]:
    from transformers.models.auto.modeling_auto import MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES

    return tuple(MODEL_FOR_SEMANTIC_SEGMENTATION_MAPPING_NAMES)
