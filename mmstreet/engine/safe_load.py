"""Read checkpoints without running code from them.

torch can read a checkpoint as data only (``weights_only=True``), but refuses the training log that mmengine stores beside
the weights, a ``HistoryBuffer`` of numpy arrays. The usual answers open the door again: passing ``weights_only=False``, or
falling back to it when the first try fails. Here the door stays shut: the few classes that mmengine writes are named, and
everything else in a file is refused by name.
"""

from __future__ import annotations

import json
import os
import pickle
import re
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import torch
from mmengine.logging import HistoryBuffer

from mmstreet.engine.errors import LaunchError

_FORCE = "TORCH_FORCE_WEIGHTS_ONLY_LOAD"
_TRUST = "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"
_DTYPES = ("bool", "uint8", "int32", "uint32", "int64", "uint64", "float16", "float32", "float64")


def _log_statistic(owner: type, name: str) -> Callable:
    """Stand in for ``getattr`` while unpickling: it yields the methods of ``HistoryBuffer`` and nothing else."""
    if owner is not HistoryBuffer or name.startswith("_"):
        raise pickle.UnpicklingError(f"Unsupported global: GLOBAL getattr({owner!r}, {name!r}) was not an allowed global")
    return getattr(owner, name)


def checkpoint_globals() -> list:
    """Return what a checkpoint of mmengine may name besides tensors, for ``torch.serialization.safe_globals``.

    numpy renamed ``numpy.core`` to ``numpy._core`` in 2.0; both names are listed, so a file written under one numpy is read
    under the other.
    """
    array = np.zeros(1)
    rebuild_array, rebuild_scalar = array.__reduce__()[0], array[0].__reduce__()[0]
    by_name = [(_log_statistic, "builtins.getattr")]
    for core in ("numpy.core", "numpy._core"):
        by_name += [(rebuild_array, f"{core}.multiarray._reconstruct"), (rebuild_scalar, f"{core}.multiarray.scalar")]
    return [HistoryBuffer, np.ndarray, np.dtype, *(type(np.dtype(name)) for name in _DTYPES), *by_name]


@contextmanager
def safe_loading() -> Iterator[None]:
    """Within the block every ``torch.load`` reads data only, also where a framework asks for less.

    Whoever trusts a file that holds other objects sets the environment variable ``TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD=1``,
    torch's own switch; then nothing is forced.

    Raises:
        LaunchError: If a checkpoint names something else than tensors and mmengine's records; the message names it.
    """
    trusted = _is_trusted()
    before = os.environ.get(_FORCE)
    if not trusted:
        os.environ[_FORCE] = "1"
    try:
        with torch.serialization.safe_globals(checkpoint_globals()):
            yield
    except pickle.UnpicklingError as error:
        found = re.search(r"(?:GLOBAL|function) (.+?)(?: was not| whose| which|$)", str(error), re.M)
        what = f"the Python object '{found.group(1)}'" if found else "something that is neither tensors nor mmengine's records"
        raise LaunchError(
            f"the checkpoint holds {what}, and reading it could run code from the file; "
            f"use a checkpoint of weights only, or set {_TRUST}=1 if you trust its origin"
        ) from error
    finally:
        if not trusted:
            os.environ.pop(_FORCE)
            if before is not None:
                os.environ[_FORCE] = before


def read_checkpoint(path: str | Path, *, map_location: str | torch.device = "cpu", trust: bool = False) -> object:
    """Read one checkpoint file as data, and only if its checksums hold.

    Args:
        path: A ``.pth`` file written by mmengine or torch, or a ``.safetensors`` file of ``mmstreet push``.
        map_location: Device for the tensors.
        trust: Read other Python objects too. Doing so may run code that whoever made the file put into it.

    Returns:
        What the file holds, e.g. a dict with ``state_dict``, ``meta`` and ``message_hub``;
        :func:`~mmstreet.engine.checkpoint_content.check_content` tells whether that is a checkpoint.

    Raises:
        FileNotFoundError: If there is no such file.
        LaunchError: If the file is damaged, is no checkpoint, or holds other objects than tensors and mmengine's records.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"checkpoint '{path}' does not exist; give the .pth file that training wrote")
    try:
        if Path(path).suffix == ".safetensors":
            return _read_safetensors(path, map_location)
        _check_archive(path)
        if trust:
            return torch.load(path, map_location=map_location, weights_only=False)
        with safe_loading():
            return torch.load(path, map_location=map_location, weights_only=True)
    except LaunchError as error:
        raise LaunchError(f"checkpoint '{path}' is refused: {error}") from error
    except Exception as error:  # what damaged bytes make of torch's readers shares no other base class
        reason = str(error).strip().partition("\n")[0].partition(". ")[0] or type(error).__name__
        raise LaunchError(
            f"checkpoint '{path}' cannot be read ({reason}); it is cut off, damaged, or not a checkpoint: fetch or copy it again"
        ) from error


def _read_safetensors(path: str | Path, map_location: str | torch.device) -> dict:
    from safetensors import safe_open

    with safe_open(str(path), framework="pt", device=str(map_location)) as file:
        meta = json.loads((file.metadata() or {}).get("dataset_meta", "{}"))
        return {"state_dict": {name: file.get_tensor(name) for name in file.keys()}, "meta": {"dataset_meta": meta}}  # noqa: SIM118


def load_from_local(filename: str, map_location: object) -> object:
    """Read a local checkpoint for mmengine; see :func:`read_checkpoint`. mmengine prints the name of this function."""
    return read_checkpoint(Path(filename).expanduser(), map_location=map_location or "cpu", trust=_is_trusted())


def _check_archive(path: str | Path) -> None:
    """torch's reader ignores the checksums of the zip archive; a flipped bit would become another weight."""
    if not zipfile.is_zipfile(path):
        return  # the format of torch before 1.6, which has no checksums
    with zipfile.ZipFile(path) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise LaunchError(f"its part '{damaged}' does not match its checksum; fetch or copy it again, or use an earlier one")


def _is_trusted() -> bool:
    return os.environ.get(_TRUST, "0").lower() in ("1", "y", "yes", "true")
