"""Configs as text: reading a dumped one without running it, and the difference between two."""

from __future__ import annotations

import ast
import difflib
from collections.abc import Mapping
from dataclasses import dataclass

RUN_KEYS = (
    "model",
    "data_preprocessor",
    "train_dataloader",
    "val_dataloader",
    "test_dataloader",
    "train_cfg",
    "val_cfg",
    "test_cfg",
    "optim_wrapper",
    "param_scheduler",
    "auto_scale_lr",
    "val_evaluator",
    "test_evaluator",
    "default_hooks",
    "custom_hooks",
    "load_from",
    "randomness",
    "default_scope",
    "tta_model",
    "tta_pipeline",
)
"""Keys that decide what a run does; a config's helper variables, paths of outputs and logging are no part of a comparison."""


@dataclass(frozen=True)
class Change:
    """One setting that differs: its dotted key, and the texts before and after, ``None`` where it is missing."""

    key: str
    before: str | None
    after: str | None


def parse_config(text: str) -> dict:
    """Read a config that mmengine dumped: assignments of literals and ``dict(...)``. Nothing in it is run.

    Args:
        text: The Python source.

    Returns:
        Name to value; a value that is no literal is its source text.
    """
    values = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            values[node.targets[0].id] = _read_value(node.value)
    return values


def compare_configs(before: Mapping, after: Mapping) -> list[Change]:
    """List what differs between two configs, among :data:`RUN_KEYS`, in the order of these keys.

    Lists of dicts, such as pipelines, are compared line by line, a step to a line; only the lines that differ are given.
    """
    one, two = (
        _flatten({key: before[key] for key in RUN_KEYS if key in before}),
        _flatten({key: after[key] for key in RUN_KEYS if key in after}),
    )
    changes = []
    for key in sorted(one.keys() | two.keys(), key=lambda key: (RUN_KEYS.index(key.partition(".")[0]), key)):
        if one.get(key) == two.get(key) and (key in one) == (key in two):
            continue
        changes.append(Change(key, *_shorten(one.get(key), two.get(key))))
    return _merge_added(changes, one, two)


def _read_value(node: ast.expr) -> object:
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "dict" and not node.args:
        return {keyword.arg: _read_value(keyword.value) for keyword in node.keywords if keyword.arg}
    if isinstance(node, ast.Dict):
        return {str(_read_value(key)): _read_value(value) for key, value in zip(node.keys, node.values) if key is not None}
    if isinstance(node, ast.List | ast.Tuple):
        return [_read_value(item) for item in node.elts]
    try:
        return ast.literal_eval(node)
    except ValueError:
        return ast.unparse(node)


def _flatten(value: object, key: str = "") -> dict[str, str]:
    """Dotted key to text; several lines for lists of dicts."""
    if isinstance(value, Mapping) and value:
        return {k: v for name, item in value.items() for k, v in _flatten(item, f"{key}.{name}" if key else str(name)).items()}
    if isinstance(value, list | tuple) and any(isinstance(item, Mapping) for item in value):
        return {key: "\n".join(_write(item) for item in value)}
    return {key: _write(value)}


def _write(value: object) -> str:
    """One line: ``Resize(scale=[512, 256])`` for a dict with a type."""
    if isinstance(value, Mapping):
        inner = ", ".join(f"{name}={_write(item)}" for name, item in value.items() if name != "type")
        return f"{value['type']}({inner})" if isinstance(value.get("type"), str) else f"{{{inner}}}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(_write(item) for item in value)}]"
    return repr(value)


def _shorten(before: str | None, after: str | None) -> tuple[str | None, str | None]:
    if before is None or after is None or not ("\n" in before or "\n" in after):
        return before, after
    lines = list(difflib.ndiff(before.split("\n"), after.split("\n")))
    kept = ["\n".join(line[2:] for line in lines if line.startswith(mark)) for mark in "-+"]
    return kept[0] or None, kept[1] or None


def _merge_added(changes: list[Change], one: Mapping, two: Mapping) -> list[Change]:
    """Say once that a whole branch came or went, such as an auxiliary head, and not for every setting in it."""
    merged: dict[str, Change] = {}
    for change in changes:
        side = one if change.before is None else two if change.after is None else None
        parts = change.key.split(".")
        prefix = change.key
        if side is not None:
            prefixes = (".".join(parts[:n]) for n in range(1, len(parts)))
            prefix = next((p for p in prefixes if not any(key == p or key.startswith(f"{p}.") for key in side)), change.key)
        if prefix == change.key:
            merged[change.key] = change
            continue
        text = change.after if change.before is None else change.before
        line = f"{change.key[len(prefix) + 1 :]} = {text}"
        old = merged.get(prefix)
        lines = [*((old.after or old.before or "").split("\n") if old else []), line]
        merged[prefix] = Change(prefix, None, "\n".join(lines)) if change.before is None else Change(prefix, "\n".join(lines), None)
    return list(merged.values())
