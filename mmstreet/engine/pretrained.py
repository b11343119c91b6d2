"""Pretrained weights: fetched with their hash checked, and fitted to a model with every gap reported."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from urllib.parse import urlparse

import torch
from mmengine.dist import is_main_process
from torch import Tensor, nn

from mmstreet.engine.errors import WeightsError

CLASSIFIERS = ("conv_seg", "fc_cls", "fc_reg", "conv_logits")
"""Layers whose size follows the number of classes: the only ones that may differ from the checkpoint."""

FROM_SCRATCH = "or train from scratch with --cfg-options load_from=None"


def fetch_weights(url: str, *, folder: Path | None = None) -> Path:
    """Return the file behind ``url``, downloaded first unless it is there already; its SHA-256 is checked either way.

    Args:
        url: Address of a file called ``NAME-HASH.pth``, HASH being the first eight or more hex digits of its SHA-256.
        folder: Where files are kept; None means torch's own cache, which torchvision and mmengine share.

    Raises:
        WeightsError: If the address carries no hash, if the file cannot be downloaded, or if it does not match the hash.
    """
    name = Path(urlparse(url).path).name
    match = re.search(r"-([0-9a-f]{8,64})\.pth$", name)
    if match is None:
        raise WeightsError(f"'{url}' carries no hash: expected a file called NAME-HASH.pth; download it yourself and give its path")
    folder = Path(torch.hub.get_dir()) / "checkpoints" if folder is None else Path(folder)
    path = folder / name
    if path.is_file():
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        if not digest.startswith(match[1]):
            raise WeightsError(f"'{path}' is damaged: its SHA-256 begins with {digest[:8]}, not {match[1]}; delete it and try again")
        return path
    folder.mkdir(parents=True, exist_ok=True)
    try:
        torch.hub.download_url_to_file(url, str(path), hash_prefix=match[1], progress=is_main_process())
    except (OSError, RuntimeError) as error:  # RuntimeError is torch's answer to a wrong hash
        raise WeightsError(f"cannot download {url} ({error}); bring it from elsewhere to '{path}', {FROM_SCRATCH}") from error
    return path


def fit_weights(state_dict: Mapping[str, Tensor], model: nn.Module) -> tuple[dict[str, Tensor], list[str], list[str]]:
    """Keep the tensors that ``model`` has a place for.

    Args:
        state_dict: Our names and tensors.
        model: The model that will load them.

    Returns:
        The tensors that fit; the modules of the model that stay fresh, a classifier with its class counts; and the modules of the
        checkpoint that the model lacks.

    Raises:
        WeightsError: If a tensor other than a classifier's has another shape than the model's.
    """
    places = model.state_dict()
    own = {key: tensor for key, tensor in places.items() if not key.endswith("num_batches_tracked")}
    kept, counts = {}, {}
    for key, tensor in state_dict.items():
        if key not in own or tensor.shape == own[key].shape:
            kept[key] = tensor
        elif key.rpartition(".")[0].rpartition(".")[2] in CLASSIFIERS:
            counts[key.rpartition(".")[0]] = f" ({len(tensor)} outputs there, {len(own[key])} here)"
        else:
            raise WeightsError(
                f"the checkpoint is of another architecture: '{key}' has shape {list(tensor.shape)} there, {list(own[key].shape)} here; "
                f"name weights of this architecture in load_from, {FROM_SCRATCH}"
            )
    fresh = [name + counts.get(name, "") for name in _name_modules([key for key in own if key not in kept], own)]
    unused = _name_modules([key for key in kept if key not in places], kept)
    return {key: tensor for key, tensor in kept.items() if key in places}, fresh, unused


def _name_modules(keys: list[str], everything: Iterable[str]) -> list[str]:
    """Sum up tensor names: a top module when all its tensors are among them, else the single layers."""
    partial = {key.partition(".")[0] for key in set(everything) - set(keys)}
    return list(dict.fromkeys(key.rpartition(".")[0] if key.partition(".")[0] in partial else key.partition(".")[0] for key in keys))
