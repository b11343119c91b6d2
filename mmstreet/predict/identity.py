"""Whether a result still belongs to the files that it was made from."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path


def identify_file(path: str | Path) -> dict:
    """Return what tells a file from every other: absolute path, size, time of its last change, and hash of its content.

    Raises:
        OSError: If it cannot be read.
    """
    state = os.stat(path)
    with open(path, "rb") as file:
        content = hashlib.file_digest(file, "sha256") if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read())
    return {"path": os.path.abspath(path), "bytes": state.st_size, "mtime_ns": state.st_mtime_ns, "sha256": content.hexdigest()}


def is_same_file(known: Mapping, path: str | Path) -> bool:
    """Tell whether a file is the one that :func:`identify_file` saw: unchanged in its place, or of the same content elsewhere."""
    try:
        state = os.stat(path)
        if known["bytes"] != state.st_size:
            return False
        if (known["path"], known["mtime_ns"]) == (os.path.abspath(path), state.st_mtime_ns):
            return True
        return known["sha256"] == identify_file(path)["sha256"]
    except OSError:
        return False


def read_object(path: str | Path) -> dict | None:
    """Read a JSON object; ``None`` if the file is damaged or holds something else.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    try:
        found = json.loads(Path(path).read_text(encoding="utf-8"))
    except (ValueError, RecursionError):  # bad JSON, bad UTF-8, lists in lists without end
        return None
    return found if isinstance(found, dict) else None
