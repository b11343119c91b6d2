"""Finds configs: a file of the user, or by name one of those that come with the package."""

from __future__ import annotations

import difflib
from pathlib import Path

SUFFIXES = (".py", ".json", ".yaml", ".yml")

SHIPPED_MODEL = Path(__file__).parents[1] / "shipped" / "street.onnx"
"""The model of the package, a file of ``mmstreet export`` like any other; ``street.json`` beside it says what it is."""


def shipped_folder() -> Path:
    """Return the folder of the configs that come with the package: inside it once installed, beside it in a checkout."""
    package = Path(__file__).parents[1]
    inside = package / ".mim" / "configs"  # where OpenMMLab's packages keep theirs
    return inside if inside.is_dir() else package.parent / "configs"


def shipped_names(*, refiners: bool = False) -> list[str]:
    """List the names of the configs that come with the package, or of its refiners, sorted."""
    return sorted(path.stem for path in (shipped_folder() / ("refine" if refiners else ".")).glob("*.py"))


def find_config(name: str | Path, *, refiner: bool = False) -> Path:
    """Find a config by path, or by name among those that come with the package.

    Args:
        name: Path of a file; or ``'deeplabv3_bdd_v3'``, with or without ``configs/`` before and ``.py`` after it. A file goes first.
        refiner: Look for the name among the refiners first: ``'crf'`` is ``refine/crf.py``.

    Raises:
        FileNotFoundError: If there is neither; the message names what comes nearest.

    Example:
        >>> find_config("deeplabv3_bdd_v3").name
        'deeplabv3_bdd_v3.py'
        >>> find_config("crf", refiner=True).name
        'crf.py'
    """
    path, folder = Path(name), shipped_folder()
    if path.is_file() and path.suffix in SUFFIXES:
        return path
    inside = Path(*path.parts[1:]) if path.parts[:1] == ("configs",) else path
    if not path.is_absolute() and ".." not in path.parts:
        for place in ["refine", "."] if refiner else ["."]:
            for found in (folder / place / inside, folder / place / f"{inside}.py"):
                if found.is_file() and found.suffix == ".py":
                    return found
    raise FileNotFoundError(_missing(path, refiner=refiner))


def _missing(path: Path, *, refiner: bool) -> str:
    kind, names = ("refiner config" if refiner else "config"), shipped_names(refiners=refiner)
    near = difflib.get_close_matches(path.stem, names, n=1)
    hint = f"did you mean '{near[0]}', which comes with mmstreet?" if near else f"mmstreet comes with: {', '.join(names)}"
    if path.parent == Path("."):
        return f"{kind} '{path}' does not exist, neither as a file nor by name; {hint}"
    beside = ", ".join(sorted(p.name for p in path.parent.glob("*.py"))) or "no .py file"
    return f"{kind} '{path}' does not exist; its folder '{path.parent}' has: {beside}; {hint}"
