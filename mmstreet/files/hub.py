"""Models of the Hugging Face hub: local copies are read first, and a hub that does not answer is reported within seconds."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from typing import TypeVar

T = TypeVar("T")
TIMEOUT_S = 10
"""How long the hub may take to answer."""


def load_local_first(load: Callable[..., T], model: str | os.PathLike, *, files: Sequence[str]) -> T:
    """Load a model from its folder or the hub's cache, and from the hub itself only if it is in neither.

    Left alone, the hub's client tries each file six times with growing pauses, which takes minutes without network.

    Args:
        load: Called as ``load(model, local_files_only=True)``, and then perhaps as ``load(model)``; raises any exception if it cannot.
        model: A folder, or a name on the hub.
        files: What the model consists of, for the message.

    Raises:
        ImportError: From ``load``, which lacks a package.
        OSError: If the model cannot be had; one sentence, which names the files to fetch.
    """
    try:
        return load(str(model), local_files_only=True)
    except ImportError:
        raise
    except Exception as error:  # a dozen types, with the same remedy
        if os.path.isdir(model):
            raise OSError(
                f"folder '{model}' holds no such model ({type(error).__name__}); it should contain {', '.join(files)}: "
                f"`hf download NAME {' '.join(files)} --local-dir {model}`"
            ) from error
    try:
        from huggingface_hub import HfApi, constants

        if not constants.HF_HUB_OFFLINE:
            HfApi().model_info(str(model), timeout=TIMEOUT_S)
        return load(str(model))
    except Exception as error:
        raise OSError(
            f"'{model}' is neither a folder nor in the local cache, and the Hugging Face hub does not have it or cannot be reached "
            f"({type(error).__name__}); on a machine with network run `hf download {model} {' '.join(files)} --local-dir FOLDER`, "
            "copy FOLDER here and give it as the model"
        ) from error
