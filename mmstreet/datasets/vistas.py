"""The class table of Mapillary Vistas, from the ``config_v1.2.json`` or ``config_v2.0.json`` beside its folders."""

from __future__ import annotations

from pathlib import Path

from mmstreet.formats.json_stream import load_json
from mmstreet.formats.rules import parse_flag
from mmstreet.labels import Label, LabelTable

_GROUPS = {
    "construction--flat": "flat",
    "marking": "flat",
    "nature--sky": "sky",
    "object--vehicle": "vehicle",
    **{name: name for name in ("construction", "nature", "object", "human", "animal", "void")},
}


def read_vistas_table(path: str | Path) -> LabelTable:
    """Read the classes that are evaluated; the ids of the others are void.

    A class's id is its place in the file, its name the file's readable one in small letters.

    Args:
        path: The JSON file: ``{"labels": [{"name": "construction--flat--road", "readable": "Road", "color": [128, 64, 128],
            "instances": false, "evaluate": true}, …]}``.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is of another form.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"'{path}', which names Mapillary Vistas' classes, does not exist; unpack it too, or give classes=[…]")
    try:
        entries = load_json(path)["labels"]
        kept = [(i, entry) for i, entry in enumerate(entries) if parse_flag("evaluate", entry["evaluate"])]
        names = [entry["readable"].lower() for _, entry in kept]
        # two classes of one readable name are told apart by their full names
        labels = [
            Label(
                readable if names.count(readable) == 1 else entry["name"],
                train_id,
                i,
                next((group for start, group in _GROUPS.items() if entry["name"].startswith(start)), "other"),
                tuple(entry["color"]),
                parse_flag("instances", entry["instances"]),
            )
            for train_id, ((i, entry), readable) in enumerate(zip(kept, names))
        ]
    except (KeyError, TypeError, AttributeError, ValueError) as error:
        raise ValueError(f"'{path}' is no list of Mapillary Vistas' classes ({error!r}); unpack it again") from error
    void_ids = tuple(sorted(set(range(len(entries))) - {i for i, _ in kept}))
    return LabelTable(path.stem.replace("config", "vistas"), tuple(labels), void_ids, is_own=True)
