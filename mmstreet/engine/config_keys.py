"""Settings that nothing would read: misspelt keys of a config file, and options of the command line that change nothing.

MMEngine takes any top-level key and any option silently, for both may be variables from which others are built. So

- an option must be below a key that a runner reads: variables are spent when the file has been read;
- a key of a config must be read by a runner, or by some line of the config itself. What only other configs are to read through ``_base_``
  starts with an underscore. A file that inherits nothing may be a dump of a run, in which variables stand beside what was built from
  them: there, and in the files that are inherited, only a key that resembles one of a runner's is refused. Files of the frameworks are
  not looked at.
"""

from __future__ import annotations

import ast
import difflib
import inspect
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from mmengine.runner import Runner

from mmstreet.engine.errors import LaunchError

RUNNER_KEYS = frozenset(inspect.signature(Runner.__init__).parameters) - {"self", "cfg", "launcher"} | {
    *("custom_imports", "runner_type", "sync_bn", "model_wrapper_cfg", "find_unused_parameters", "compile"),
    *("activation_checkpointing", "efficient_conv_bn_eval", "tta_model", "tta_pipeline"),
}
"""Top-level keys that change what is built; ``launcher`` is settled by the command line alone."""

OTHER_KEYS = frozenset({"launcher", "train_pipeline", "val_pipeline", "test_pipeline", "refiner"})
"""Further keys that a file may set: MMSegmentation's own inference reads pipelines, and a test the refiner of its config file."""

_SIMILAR = 0.8


def check_keys(path: str | Path) -> None:
    """Look for top-level keys that nobody reads in a config and in the files that it inherits, as the module says.

    Raises:
        LaunchError: If there are any; the message lists all of them, each with the nearest key that a runner reads.
    """
    found = []
    for file, tree in _own_files(Path(path)):
        for key in _unread(tree):
            near = difflib.get_close_matches(key, RUNNER_KEYS, n=1, cutoff=_SIMILAR)
            inherits = any(_name_of(node) == "_base_" for node in tree.body)
            if near:
                found.append(f"'{key}' in '{file}': did you mean '{near[0]}'?")
            elif inherits and file == Path(path):
                found.append(f"'{key}' in '{file}': start the name with an underscore if it is there for configs that inherit this one")
    if found:
        raise LaunchError(f"no runner reads {'; nor '.join(found)}")


def check_options(cfg: Mapping, options: Mapping) -> None:
    """Look for options that would change nothing in what is built, before they are merged.

    Args:
        cfg: The config as its file gives it.
        options: Settings by dotted key.

    Raises:
        LaunchError: If there are any; the message lists all of them, each with the nearest key that would work.
    """
    places = list(_places({key: value for key, value in cfg.items() if key in RUNNER_KEYS}))
    found = []
    for key in options:
        top, *below = key.split(".")
        if top not in RUNNER_KEYS:
            near = _nearest(key, places) or (difflib.get_close_matches(top, RUNNER_KEYS, n=1) or [None])[0]
            found.append(f"'{key}' changes nothing: " + (f"did you mean '{near}'?" if near else f"no runner reads '{top}'"))
        elif near := _misspelt(cfg.get(top), below):
            found.append(f"'{key}' would be a new key, beside '{'.'.join((top, *near))}': did you mean that?")
    if found:
        raise LaunchError("; ".join(found))


def _own_files(path: Path) -> Iterator[tuple[Path, ast.Module]]:
    """A Python config and what it inherits, parsed, without the frameworks' files; what only MMEngine can parse is left to it."""
    if path.suffix != ".py" or not path.is_file() or ".mim" in path.parts:
        return
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        bases = next((ast.literal_eval(node.value) for node in tree.body if _name_of(node) == "_base_"), [])
    except (SyntaxError, ValueError):
        return
    yield path, tree
    for base in [bases] if isinstance(bases, str) else bases:
        if "::" not in base:
            yield from _own_files(path.parent / base)


def _name_of(node: ast.stmt) -> str | None:
    target = node.targets[0] if isinstance(node, ast.Assign) else None
    return target.id if isinstance(target, ast.Name) else None


def _unread(tree: ast.Module) -> list[str]:
    """Names that a file sets at its top level and that neither a runner nor another line of it reads."""
    names = [name for node in tree.body if (name := _name_of(node)) and not name.startswith("_")]
    read = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    return [name for name in dict.fromkeys(names) if name not in RUNNER_KEYS | OTHER_KEYS | read]


def _places(node: object, place: str = "") -> Iterator[str]:
    """Every dotted key of a config, that of an item of a list by its number."""
    parts = node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list | tuple) else ()
    for key, value in parts:
        inner = f"{place}.{key}" if place else str(key)
        if isinstance(node, Mapping):
            yield inner
        yield from _places(value, inner)


def _nearest(key: str, places: Sequence[str]) -> str | None:
    """The place most like a key, of those that end alike if there are any."""
    ending = key.rpartition(".")[2]
    alike = [place for place in places if place.rpartition(".")[2] == ending]
    ranked = sorted(alike or difflib.get_close_matches(key, places, n=1), key=lambda p: -difflib.SequenceMatcher(None, key, p).ratio())
    return ranked[0] if ranked else None


def _misspelt(node: object, keys: Sequence[str]) -> list[str] | None:
    """For keys that would create a setting: the existing ones that it resembles, where no class would refuse it."""
    for depth, key in enumerate(keys):
        if isinstance(node, list | tuple) and re.fullmatch(r"\d+", key) and int(key) < len(node):
            node = node[int(key)]
        elif isinstance(node, Mapping) and key in node:
            node = node[key]
        elif isinstance(node, Mapping) and "type" not in node:
            near = difflib.get_close_matches(key, map(str, node), n=1, cutoff=_SIMILAR)
            return [*keys[:depth], near[0]] if near else None
        else:
            return None
    return None
