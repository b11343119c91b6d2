"""Models of the transformers library from a local folder or the Hugging Face hub, with one sentence for everything that can go wrong."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType

import torch

from mmstreet.deps import require
from mmstreet.files.hub import check_place, load_local_first
from mmstreet.refine.official_sam import load_official, official_type

_FILES = ("config.json", "model.safetensors")


def transformers() -> ModuleType:
    """Return the transformers library.

    Raises:
        ImportError: If it is not installed.
    """
    return require("transformers", extra="sam")


def read_model_type(weights: str | Path, *, expected: Mapping[str, str]) -> str:
    """Return the model type that a checkpoint says it is.

    Args:
        weights: A folder in transformers' format (``config.json`` and ``model.safetensors``), a file of SAM's or SAM 2's authors (see
            :mod:`~mmstreet.refine.official_sam`), or a name on the hub, whose local copy is used where there is one.
        expected: Class name of each model type that will do.

    Raises:
        OSError: If there is no such folder, or the hub cannot be reached or does not know the name.
        ValueError: If the checkpoint is of another type.
    """
    if Path(weights).is_file():
        found = official_type(weights)
    else:
        check_place(weights)
        found = load_local_first(transformers().PreTrainedConfig.get_config_dict, weights, files=_FILES)[0].get("model_type")
    if found not in expected:
        raise ValueError(f"'{weights}' holds a model of type '{found}', expected one of: {', '.join(expected)}; give other weights")
    return found


def load_model(weights: str | Path, *, class_name: str, device: torch.device) -> torch.nn.Module:
    """Load a model for inference, in single precision.

    Args:
        weights: See :func:`read_model_type`.
        class_name: Class of transformers.
        device: Where it goes.

    Raises:
        OSError: If the weights cannot be had.
        ValueError: If the checkpoint lacks tensors of the model, for which random values would stand in, or holds values that are not
            finite.
    """
    if Path(weights).is_file():
        return _finish(load_official(weights), weights, device)
    check_place(weights)
    read = functools.partial(getattr(transformers(), class_name).from_pretrained, dtype=torch.float32, output_loading_info=True)
    model, info = load_local_first(read, weights, files=_FILES)
    lacking = sorted({*info["missing_keys"], *(str(key) for key, *_ in info.get("mismatched_keys", ()))})
    if lacking:
        raise ValueError(
            f"'{weights}' does not fit {class_name}: {len(lacking)} tensors are missing or have another shape, the first is "
            f"'{lacking[0]}'; give weights of this model"
        )
    return _finish(model, weights, device)


def _finish(model: torch.nn.Module, weights: str | Path, device: torch.device) -> torch.nn.Module:
    broken = [name for name, value in model.state_dict().items() if not bool(torch.isfinite(value).all())]
    if broken:
        raise ValueError(f"'{weights}' holds values that are not finite (nan or infinity), first in '{broken[0]}'; fetch it again")
    return model.float().eval().requires_grad_(False).to(device)


def load_tokenizer(weights: str | Path) -> object:
    """Load the tokenizer that lies beside a model.

    Raises:
        OSError: If there is none.
    """

    def read(name: str, **how: bool) -> object:
        tokenizer = transformers().AutoTokenizer.from_pretrained(name, **how)
        # Without its files, transformers makes a tokenizer that knows no word but its own marks.
        if tokenizer.convert_tokens_to_ids(".") in (None, tokenizer.unk_token_id):
            raise FileNotFoundError(f"'{weights}' has no files of a tokenizer")
        return tokenizer

    return load_local_first(read, weights, files=("tokenizer.json", "tokenizer_config.json", "vocab.txt"))


def choose_device(device: str | None) -> torch.device:
    """Return the named device, or a GPU where there is one and none is named."""
    return torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))


def fingerprint(weights: str | Path) -> str:
    """Return a text that changes when weights in a local folder or file are replaced; for a name on the hub, the name.

    Args:
        weights: See :func:`read_model_type`.
    """
    folder = Path(weights)
    if not folder.exists():
        return str(weights)
    paths = [folder] if folder.is_file() else [path for path in folder.iterdir() if path.is_file()]
    files = sorted((path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in paths)
    return hashlib.sha256(repr(files).encode()).hexdigest()
