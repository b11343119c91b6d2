"""Checks that a checkpoint fits a model: its classes, names and shapes; one sentence says what does not."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from torch import Tensor, nn

from mmstreet.engine.errors import LaunchError
from mmstreet.engine.pretrained import CLASSIFIERS

_ADVICE = "give the config that the checkpoint was trained with"


def plain_weights(checkpoint: Mapping) -> dict[str, Tensor]:
    """Return the weights of a checkpoint's dict by the names that the model has, also from a file of weights only."""
    return {re.sub(r"^module\.", "", name): value for name, value in checkpoint.get("state_dict", checkpoint).items()}


def check_fit(model: nn.Module, checkpoint: Mapping, path: str | Path, *, whole: bool = False) -> None:
    """Refuse a checkpoint that leaves weights of the model randomly initialised.

    Parts that a prediction does not use, and surplus weights in the file, are no error unless ``whole`` is set.

    Args:
        model: The model of the config.
        checkpoint: Content of the file.
        path: The file, for the message.
        whole: The file has to hold the weights of this model, all of them and no others, as a training needs to go on.

    Raises:
        LaunchError: If weights are missing or have another shape; where only the number of classes differs, the message says so.
    """
    given = plain_weights(checkpoint)
    needed = dict(model.named_parameters()) | {
        name: value for name, value in model.named_buffers() if name.endswith(("running_mean", "running_var"))
    }
    needed = {name: value for name, value in needed.items() if whole or not name.startswith("auxiliary_head.")}
    missing = [name for name in needed if name not in given]
    differing = [name for name in needed if name in given and given[name].shape != needed[name].shape]
    if not missing and differing and all(_layer(name) in CLASSIFIERS for name in differing):
        there, here = (_count_classes(differing, weights) for weights in (given, needed))
        names = (checkpoint.get("meta", {}).get("dataset_meta") or {}).get("classes") or ()
        listed = f" ({_short(names, 4)})" if len(names) == there else ""
        raise LaunchError(f"checkpoint '{path}' predicts {there} classes{listed}, but the config's model has {here}; {_ADVICE}")
    surplus = [name for name in given if whole and name not in model.state_dict()]
    if missing or differing or surplus:
        found = [f"{len(missing)} of {len(needed)} weights are not in it ({_short(missing)})"] if missing else []
        found += [f"'{name}' is {tuple(given[name].shape)} there and {tuple(needed[name].shape)} here" for name in differing[:2]]
        found += [f"{len(surplus)} of its weights are not in the model ({_short(surplus)})"] if surplus else []
        raise LaunchError(f"checkpoint '{path}' does not fit the model of this config: {'; '.join(found)}; {_ADVICE}")


def _layer(name: str) -> str:
    return name.rpartition(".")[0].rpartition(".")[2]


def _count_classes(names: Sequence[str], weights: Mapping[str, Tensor]) -> int:
    """A box classifier has an output more, for the background, and a box regressor four for each class."""
    by_layer = {_layer(name): len(weights[name]) for name in names}
    if "fc_cls" in by_layer:
        return by_layer["fc_cls"] - 1
    return by_layer["fc_reg"] // 4 if list(by_layer) == ["fc_reg"] else next(n for layer, n in by_layer.items() if layer != "fc_reg")


def _short(names: Sequence[str], limit: int = 3) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
