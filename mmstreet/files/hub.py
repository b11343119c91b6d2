"""Models of the Hugging Face hub: local copies are read first, and a hub that does not answer is reported within seconds."""

from __future__ import annotations

import importlib.util
import json
import os
from collections.abc import Callable, Sequence
from typing import TypeVar

EXPORTED = "model.onnx"
"""Name of the exported file in a folder of ``mmstreet push``."""
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
    damaged = "is damaged or was downloaded in part only: fetch it again, "
    try:
        return load(str(model), local_files_only=True)
    except ImportError:
        raise
    except Exception as error:  # a dozen types, with the same remedy
        broken = _is_damage(error)
        if os.path.isdir(model):
            raise OSError(
                f"folder '{model}' {damaged if broken else 'holds no such model '}({type(error).__name__}); it should contain "
                f"{', '.join(files)}: `hf download NAME {' '.join(files)} --local-dir {model}`"
            ) from error
        if broken:
            raise OSError(f"'{model}' in the local cache {damaged}`hf download {model} {' '.join(files)} --force-download`") from error
    fetch = f"`hf download {model} {' '.join(files)} --local-dir FOLDER`"
    try:
        from huggingface_hub import HfApi, constants

        if not constants.HF_HUB_OFFLINE:
            HfApi().model_info(str(model), timeout=TIMEOUT_S)
        return load(str(model))
    except Exception as error:
        if "Gated" in type(error).__name__ or "gated repo" in str(error):
            raise OSError(
                f"'{model}' is gated: accept its terms at https://huggingface.co/{model}, log in with `hf auth login`, and repeat; or run "
                f"{fetch} where you are logged in, copy FOLDER here and give it as the model"
            ) from error
        raise OSError(
            f"'{model}' is neither a folder nor in the local cache, and the Hugging Face hub does not have it or cannot be reached "
            f"({type(error).__name__}); on a machine with network run {fetch}, copy FOLDER here and give it as the model"
        ) from error


def check_place(model: str | os.PathLike) -> None:
    """Refuse what can be neither a model's folder nor a name on the hub.

    Raises:
        OSError: If a path does not exist, or a folder has no ``config.json``.
    """
    text = str(model)
    if os.path.isdir(model):
        if not os.path.isfile(os.path.join(model, "config.json")):
            raise OSError(f"folder '{model}' has no config.json; expected a model saved by transformers (save_pretrained)")
    elif os.path.isabs(model) or text.startswith((".", "~")) or text.count("/") > 1:
        raise OSError(f"weights folder '{model}' does not exist; give a folder with config.json, or a name on the hub")


def find_exported(model: str | os.PathLike) -> str | None:
    """Return the exported file of a model that ``mmstreet push`` wrote, from its folder, the hub's cache or the hub; else ``None``."""
    if os.path.isdir(model):
        path = os.path.join(model, EXPORTED)
        return path if os.path.isfile(path) else None
    if importlib.util.find_spec("huggingface_hub") is None:
        return None
    from huggingface_hub import HfApi, constants, hf_hub_download, try_to_load_from_cache

    try:
        path = try_to_load_from_cache(str(model), EXPORTED)
        if isinstance(path, str):
            return path
        if isinstance(try_to_load_from_cache(str(model), "config.json"), str) or constants.HF_HUB_OFFLINE:
            return None
        names = {file.rfilename for file in HfApi().model_info(str(model), timeout=TIMEOUT_S).siblings or ()}
        return hf_hub_download(str(model), EXPORTED) if EXPORTED in names else None
    except Exception:  # the client's errors share no base class; the loader of transformers, asked next, says what is wrong
        return None


def check_login() -> None:
    """Refuse to go on without the hub's client and a token.

    Raises:
        ImportError: If ``huggingface_hub`` is not installed.
        OSError: If there is no token, or the hub is switched off.
    """
    if importlib.util.find_spec("huggingface_hub") is None:
        raise ImportError("this needs the Python module 'huggingface_hub', which is not installed; run: pip install 'mmstreet[hub]'")
    from huggingface_hub import constants, get_token

    if constants.HF_HUB_OFFLINE:
        raise OSError("HF_HUB_OFFLINE switches the Hugging Face hub off; unset it, or add --no-upload to write the folder only")
    if not get_token():
        raise OSError(
            "there is no token of the Hugging Face hub: log in with `hf auth login` or set HF_TOKEN, or add --no-upload to write the "
            "folder only"
        )


def upload_folder(folder: str | os.PathLike, name: str, *, private: bool = False) -> str:
    """Upload a folder as one commit, in a repository that is made if it is missing.

    Returns:
        Its address.

    Raises:
        OSError: If it cannot be uploaded; the folder stays, and the message says how to upload it later.
    """
    from huggingface_hub import HfApi

    try:
        address = HfApi().create_repo(name, private=private or None, exist_ok=True)
        HfApi().upload_folder(repo_id=name, folder_path=str(folder), commit_message="Model by mmstreet push")
        return str(address)
    except Exception as error:  # a dozen types, with the same remedy
        reason = str(error).strip().partition("\n")[0][:200]
        raise OSError(
            f"'{name}' was not uploaded ({type(error).__name__}: {reason}); the folder is complete: `hf upload {name} {os.fspath(folder)}` "
            "uploads it once the hub can be reached and you may write there"
        ) from error


def _is_damage(error: BaseException | None) -> bool:
    """Whether an exception, or what caused it, says that a file is there but broken."""
    while error is not None:
        if "Safetensor" in type(error).__name__ or isinstance(error, json.JSONDecodeError | UnicodeDecodeError | EOFError):
            return True
        if isinstance(error, OSError) and "not a valid JSON file" in str(error):
            return True
        error = error.__cause__ or error.__context__
    return False
