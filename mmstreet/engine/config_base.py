"""What a config is compared with: the one that it is a variant of, or what it inherits."""

from __future__ import annotations

import ast
import tempfile
from pathlib import Path

from mmengine.config import Config

from mmstreet.files.config_files import find_config


def question_of(path: str | Path) -> str | None:
    """Return the first paragraph of a config's docstring, in one line: the question that it answers."""
    if Path(path).suffix != ".py" or not Path(path).is_file():
        return None
    text = ast.get_docstring(ast.parse(Path(path).read_text(encoding="utf-8"))) or ""
    return text.partition("\n\n")[0].replace("\n", " ") or None


def base_of(path: str | Path) -> tuple[str, Config] | None:
    """Find the config that a config file is best compared with, and read it.

    It is the one named by ``_variant_of``; else the first that the file inherits, or all of them joined where that one is only a piece
    from a ``_base_`` folder.

    Returns:
        What to call it, and its settings; ``None`` for a config that names none and inherits nothing.

    Raises:
        FileNotFoundError: If the config that is named does not exist.
    """
    path = Path(path)
    if path.suffix != ".py" or not path.is_file():
        return None
    known = {}
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id in ("_base_", "_variant_of"):
            known[node.targets[0].id] = ast.literal_eval(node.value)
    if "_variant_of" in known:
        beside = path.parent / f"{known['_variant_of']}.py"
        found = beside if beside.is_file() else find_config(known["_variant_of"])
        return found.name, Config.fromfile(found)
    names = known.get("_base_") or []
    bases = [name if "::" in name else str((path.parent / name).resolve()) for name in ([names] if isinstance(names, str) else names)]
    if not bases:
        return None
    if Path(bases[0]).parent.parent.name != "_base_":
        bases = bases[:1]
    return " + ".join(Path(base).name for base in bases), _read_joined(bases)


def _read_joined(bases: list[str]) -> Config:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "bases.py"
        path.write_text(f"_base_ = {bases!r}\n", encoding="utf-8")
        return Config.fromfile(path)
