"""A ``data.yaml`` as text that people read and correct: one line per class, remarks where a value can be doubted."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mmstreet.datasets.survey import Survey
from mmstreet.files.atomic import write_text

_HEAD = """\
# Written by 'mmstreet init'. Correct what is wrong, then: mmstreet verify {name}; mmstreet train street {name}
"""
_REMARKS = {
    "root": "folder of the data set, relative to this file",
    "layout": "where images and labels lie; void: ids and colours that are not labelled, beside 255 and black",
    "splits": "a folder's name, or a list file",
    "image_hw": "height and width of most images",
    "classes": "in the order of the ids that the model learns; share: per cent of the training pixels",
    "remap": "what is learned instead, by names; a class that is not named keeps its name, and is void where there is none",
    "counts": "as found; pixels, in rows of these names, give the shares where classes are remapped or sets are joined",
    "suspicions": "to be looked at; nothing reads this",
    "sets": "data sets that are trained as one; a class that is left out of remap keeps its name, null makes it void",
}


def write_data_file(found: Survey, path: str | Path) -> list[Path]:
    """Write a description and its list files, each whole or not at all, the description last.

    Returns:
        The files.
    """
    path = Path(path)
    written = []
    for name, lines in found.lists.items():
        written.append(write_text("\n".join(lines) + "\n", path.parent / name))
    return [*written, write_text(data_text(found.content, found.suspicions, name=path.name), path)]


def data_text(content: Mapping[str, Any], suspicions: list[str], *, name: str) -> str:
    """Return the YAML text."""
    text = _HEAD.format(name=name)
    for key, value in {**content, **({"suspicions": suspicions} if suspicions else {})}.items():
        if value is None:
            continue
        remark = f"  # {_REMARKS[key]}" if key in _REMARKS else ""
        if isinstance(value, list) and value and not isinstance(value[0], int):
            text += f"{key}:{remark}\n" + "".join(f"- {_flow(item)}\n" for item in value)
        elif isinstance(value, dict):
            text += f"{key}:{remark}\n" + "".join(f"  {_flow(inner)}: {_flow(item)}\n" for inner, item in value.items())
        else:
            text += f"{key}: {_flow(value)}{remark}\n"
    return text


def _flow(value: Any) -> str:
    """Return a value on one line, as YAML reads it back."""
    import yaml

    plain = _plain(value)
    return yaml.safe_dump(plain, default_flow_style=True, allow_unicode=True, width=10**9, sort_keys=False).removesuffix("\n...\n").strip()


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value
