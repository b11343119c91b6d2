"""From the class names of one table to those of another: the map that is given, filled up with names that mean the same."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any

from mmstreet.labels import LabelTable, plain_name, same_class


def check_mapping(mapping: Any, source: LabelTable, target: LabelTable, *, where: str, rest: str | None = None) -> dict[str, str]:
    """Return which class of ``target`` each class of ``source`` becomes; classes that are left out are void.

    Args:
        mapping: Target name by source name, as the user gives it; ``None`` as a target name makes the class void. Classes that are not
            named go to the class of the same name, whatever its capitals and signs, if there is one. ``None`` for no map at all.
        source: Classes of the labels.
        target: Classes that are learned.
        where: What is read, for messages.
        rest: Class of ``target`` that all others become; ``None`` makes them void.

    Raises:
        ValueError: If a name is in neither table, the message names the nearest; or if no class is left.
    """
    given = {} if mapping is None else mapping
    if not isinstance(given, Mapping):
        raise ValueError(f"{where}: remap must be names, {{tree: vegetation, rider: person}}, not {given!r:.80}")
    for name, to in given.items():
        _check_name(name, source.names, where=where, table=source.name)
        if to is not None:
            _check_name(to, target.names, where=where, table=target.name)
    if rest is not None:
        _check_name(rest, target.names, where=f"{where}, rest", table=target.name)
    plain = {plain_name(name): name for name in target.names}
    found = {**{name: plain.get(plain_name(name), rest) for name in source.names}, **given}
    kept = {name: found[name] for name in source.names if found.get(name) is not None}
    if not kept:
        raise ValueError(
            f"{where}: no class of '{source.name}' is one of '{target.name}'; write remap: {{{source.names[0]}: {target.names[0]}}}"
        )
    return kept


def suggest_mapping(source: Iterable[str], target: Iterable[str]) -> dict[str, str]:
    """Return the target name of each source name that is the same but for capitals and signs, or a synonym."""
    target = list(target)
    found = {name: same_class(name, target) for name in source}
    return {name: to for name, to in found.items() if to is not None}


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the name that looks most like another, ``None`` if none does."""
    return next(iter(difflib.get_close_matches(str(name), list(names), 1, 0.7)), None)


def _check_name(name: object, names: tuple[str, ...], *, where: str, table: str) -> None:
    if name not in names:
        near = nearest(str(name), names)
        hint = f"did you mean '{near}'?" if near else f"it has {', '.join(names)}"
        raise ValueError(f"{where}: class {name!r} is not in '{table}'; {hint}")
