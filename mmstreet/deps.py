"""Optional dependencies: which are here, and the one sentence said when one is not."""

from __future__ import annotations

import importlib
import importlib.util
from types import ModuleType


def installed(name: str) -> bool:
    """Tell whether module ``name`` can be imported, without importing it.

    Args:
        name: Top-level or dotted module name, e.g. ``"mmseg"``.
    """
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        return False
    return "." not in name or importlib.util.find_spec(name) is not None


def require(name: str, *, extra: str) -> ModuleType:
    """Import and return module ``name``, or say which extra brings it.

    Args:
        name: Dotted module name.
        extra: The extra of mmstreet that installs it, e.g. ``"crf"``.

    Raises:
        ImportError: If the module is not installed. An error raised *inside* an installed module is passed on unchanged.
    """
    if not installed(name):
        raise ImportError(f"this needs the Python module '{name}', which is not installed; run: pip install 'mmstreet[{extra}]'")
    return importlib.import_module(name)
