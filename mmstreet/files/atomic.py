"""Files that appear whole or not at all, and folders made for them."""

from __future__ import annotations

import contextlib
import errno
import json
import math
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path

PARTIAL = ".partial"
"""Ending of the hidden files that :func:`write_bytes` fills before they take their names."""
_MAX_START = 50
"""Characters of a name that its hidden file begins with; a name of 255 bytes is allowed, a longer one is not."""
_DEVICES = Path("/dev")
"""Where ``/dev/stdout`` is a link, to a regular file if the output goes into one."""


@contextlib.contextmanager
def atomic_path(path: str | Path, *, durable: bool = False, partial_suffix: str | None = None) -> Iterator[Path]:
    """Give a temporary path beside ``path``; it takes the name ``path`` when the block ends well, and vanishes when it does not.

    Args:
        path: The file; its folder is made if it is missing.
        durable: Flush content and name to the disk, so that they survive a power cut.
        partial_suffix: Ending of the temporary file; default: that of ``path``, for writers that choose the format by it.

    Raises:
        OSError: If the file cannot be written, or a folder, a device or a pipe has the name; a full disk is said in one sentence.
    """
    path = Path(path)
    check_target(path)
    with _one_sentence(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        suffix = path.suffix if partial_suffix is None else partial_suffix
        start = (path.stem if partial_suffix is None else path.name)[:_MAX_START]
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{start}.", suffix=suffix)
        os.close(handle)
        temporary = Path(name)
        try:
            yield temporary
            # mkstemp makes files private; the result gets the rights that open() would have given it.
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o666 & ~umask)
            if durable:
                _flush(temporary, os.O_RDONLY)
            os.replace(temporary, path)
            if durable and hasattr(os, "O_DIRECTORY"):  # the rename itself lies in the folder; Windows cannot open one
                _flush(path.parent, os.O_RDONLY | os.O_DIRECTORY)
        finally:
            temporary.unlink(missing_ok=True)


@contextlib.contextmanager
def atomic_folder(path: str | Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Give a temporary folder beside ``path``; it takes the name ``path`` when the block ends well, and vanishes when it does not.

    Args:
        path: The folder; the one above it is made if it is missing.
        overwrite: Replace a folder that is not empty; until then it keeps its name.

    Raises:
        FileExistsError: If ``path`` is a folder that is not empty, without ``overwrite``.
        OSError: If it cannot be written, or a file has the name; a full disk is said in one sentence.
    """
    path = Path(path)
    check_folder(path, overwrite=overwrite)
    with _one_sentence(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name[:_MAX_START]}.", suffix=PARTIAL))
        try:
            yield temporary
            umask = os.umask(0)
            os.umask(umask)
            temporary.chmod(0o777 & ~umask)
            if path.is_dir() and overwrite:
                old = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name[:_MAX_START]}.", suffix=PARTIAL))
                os.replace(path, old)
                os.replace(temporary, path)
                shutil.rmtree(old)
            else:
                if path.is_dir():
                    path.rmdir()  # empty, or filled in the meantime, which is an error
                os.replace(temporary, path)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


def check_folder(path: str | Path, *, overwrite: bool = False) -> None:
    """Refuse a name that no folder may take, before the work that fills it; arguments and errors as in :func:`atomic_folder`."""
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise OSError(f"'{path}' is a file, which no folder may replace; give another name")
    if path.is_dir() and any(path.iterdir()) and not overwrite:
        raise FileExistsError(f"the folder '{path}' is not empty; give another name, or --overwrite to replace all that is in it")


def check_target(path: str | Path) -> None:
    """Refuse a name that no file may take, before the work that leads to the file.

    Raises:
        OSError: If a folder, a device or a pipe has the name.
    """
    path = Path(path)
    if (path.exists() and not path.is_file()) or path.parent.resolve() == _DEVICES:
        raise OSError(f"'{path}' is {'a folder' if path.is_dir() else 'a device or a pipe'}, which no file may replace; give another name")


def write_bytes(data: bytes, path: str | Path, *, durable: bool = True) -> Path:
    """Write a file so that a reader sees the old content or the new, never a part, whenever the process dies.

    Args:
        data: Content of the file.
        path: Where it goes; the folder is made if it is missing.
        durable: Flush it to the disk; results that can be made again need not wait for that.
    """
    with atomic_path(path, durable=durable, partial_suffix=PARTIAL) as temporary, open(temporary, "wb") as file:
        file.write(data)
    return Path(path)


def write_text(text: str, path: str | Path) -> Path:
    r"""Write a text file in UTF-8, whole or not at all; bytes of a file name that are not UTF-8 become ``\udcXX``, as in JSON."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="backslashreplace")
    return Path(path)


def write_json(data: object, path: str | Path) -> Path:
    """Write JSON that every parser reads, whole or not at all: nan and infinity become ``null``, lists of numbers stay on one line.

    Args:
        data: Dicts, lists, strings, numbers, ``None``; paths, numpy scalars and arrays are converted.
        path: The file; its folder is made if it is missing.
    """
    text = json.dumps(_plain(data), indent=2, allow_nan=False, ensure_ascii=False)
    numbers = re.compile(r"\[\s+([-+.\deE,\s]+?)\s+\]")
    return write_text(numbers.sub(lambda found: f"[{' '.join(found.group(1).split())}]", text) + "\n", path)


def write_arrays(arrays: Mapping[str, object], path: str | Path) -> Path:
    """Write arrays by name into a compressed ``.npz`` file, whole or not at all; the file's folder is made if it is missing."""
    import numpy as np  # commands that write text only start without it

    with atomic_path(path) as temporary:
        np.savez_compressed(temporary, **arrays)
    return Path(path)


def _plain(value: object) -> object:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, Path):
        return str(value)
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _flush(path: Path, flags: int) -> None:
    handle = os.open(path, flags)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def _one_sentence(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        raise OSError(error.errno, f"disk full: '{path}' was not written and what was there is kept; free some space and repeat") from error
