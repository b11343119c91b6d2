"""What the JSON files of a run must look like, so that a page can rely on it: a shape is written as the data would be."""

from __future__ import annotations

import re
from collections.abc import Mapping

ANY = object()
"""Shape of what is not looked at."""
FREQUENCIES = {"common", "medium", "rare", None}
LEVELS = {"LOW", "MODERATE", "HIGH", "CRITICAL", "UNKNOWN"}
_HEX = re.compile(r"#(?:[0-9a-fA-F]{3}|[0-9a-fA-F]{6})")
_LARGEST = 1e15
_NUMBER = (float, None)


class Color:
    """Shape of a colour: ``#rgb``, ``#rrggbb`` or three integers from 0 to 255."""


_METRICS = {...: _NUMBER}
_SCORES = {"metrics": _METRICS, "config": (str, None, ...), "checkpoint": (str, None, ...)}
SLICE = {
    "value": str,
    "images": int,
    "pixels": int,
    "mIoU": _NUMBER,
    "interval": ([float], None),
    "IoU": [_NUMBER],
    "truth_pixels": [int],
}
INTERVALS = {"level": float, "images": int, "scores": {...: ([float], None)}}
SEMANTIC = {
    "scope": str,
    "convention": str,
    "classes": [str],
    "confusion": [[int]],
    "categories": ({...: _NUMBER}, ...),
    "intervals": (INTERVALS, ...),
    "image_wise": (_METRICS, ...),
    "slices": ({...: [SLICE]}, ...),
    "per_class": [
        {
            "class": str,
            "IoU": _NUMBER,
            "Acc": _NUMBER,
            "Precision": _NUMBER,
            "truth_pixels": int,
            "frequency": (FREQUENCIES, ...),
            "group": (str, None, ...),
        }
    ],
}
PROTOCOL = {
    "metrics": _METRICS,
    "images": int,
    "instances": int,
    "per_class": [{"class": str, "instances": int, ...: (float, str, None)}],
    "curve": {"iou": float, "recall": [float], "classes": {...: {"precision": [_NUMBER]}}},
}
_PART = {key: shape for key, shape in PROTOCOL.items() if key != "curve"} | {"interval": ([float], None, ...)}
INSTANCES = {
    "protocols": {...: PROTOCOL},
    "by": ({...: {...: {...: _PART}}}, ...),
    "intervals": (INTERVALS, ...),
}
SAFETY_SCORE = {"score": _NUMBER, "level": LEVELS, "components": {...: _NUMBER}, "explanation": str}
SCENE = {"img_path": str, "picture": str, "safety": SAFETY_SCORE, "truth": ({"score": _NUMBER}, None, ...)}
SAFETY = {"metrics": _METRICS, "reasons": ({...: int}, ...), "best": [SCENE], "worst": [SCENE]}
CALIBRATION = {
    "pixels": int,
    "measured": [
        {
            "temperature": float,
            "scores": _METRICS,
            "reliability": [{"pixels": int, "confidence": _NUMBER, "accuracy": _NUMBER}],
            "risk_coverage": [{"coverage": float, "risk": float, "threshold": float}],
        }
    ],
}
_OBJECTS = {"recall": _NUMBER, "precision": _NUMBER, "objects": int, "predicted": int}
DANGER = {
    "important": [str],
    "safe_iou": _METRICS,
    "taken_for_road": [{"class": str, "pixels": int, "share": _METRICS}],
    "objects": [{"class": str, **_OBJECTS, "sizes": {...: _OBJECTS}}],
}
_MEANS = {"mIoU": _NUMBER, "relative": _NUMBER, "IoU": [_NUMBER]}
CORRUPTIONS = {
    "images": int,
    "classes": [str],
    "clean": _MEANS,
    "groups": {...: _MEANS},
    "cells": [{"kind": str, "group": str, "severity": int, "apart": ANY, **_MEANS}],
}
GALLERY = {"legend": [{"class": str, "color": Color}], "images": [{"title": str, "pictures": {...: str}}]}
LABEL_ERRORS = {
    "areas": int,
    "temperature": _NUMBER,
    "suspects": [{"img_path": str, "label": str, "prediction": str, "confidence": float, "score": float, "area": int, "box_xyxy": [int]}],
    "images": [{"img_path": str, "share": float, "areas": int}],
}
EVALUATION = _SCORES | {
    "evaluation": ({}, ...),
    "safety": (SAFETY, ...),
    "calibration": (CALIBRATION, ...),
    "danger": (DANGER, ...),
    "corruptions": (CORRUPTIONS, ...),
    "label_errors": (LABEL_ERRORS, ...),
}
KEPT_IMAGES = {
    "classes": [{"class": str, "color": Color}],
    "ignored": Color,
    "no_class": Color,
    "images": [
        {
            "title": str,
            "img_path": str,
            "mIoU": (float, None, ...),
            "right": {...: _NUMBER},
            "lists": ([str], ...),
            "slices": ([{"attribute": str, "value": str, "mIoU": float}], ...),
            "pictures": {...: str},
        }
    ],
}
SYSTEM = {
    "name": str,
    "mIoU": _NUMBER,
    "boundary_IoU": _NUMBER,
    "thin_IoU": _NUMBER,
    "seconds_per_image": _NUMBER,
    "changed_percent": _NUMBER,
    "per_class": [{"class": str, "IoU": _NUMBER}],
    "differences": ({...: ([float], None)}, ...),
    "regions": ({...: int}, ...),
    "regions_per_class": ({...: {...: int}}, ...),
}
REFINEMENT = {"boundary_radius_px": float, "systems": [SYSTEM]}
RECORD = {
    "commands": ([{"kind": (str, ...), "command": str, "started": str, "ended": (str, None)}], ...),
    "config": (
        {
            "file": (str, None, ...),
            "question": (str, None, ...),
            "base": (str, None, ...),
            "problem": (str, None, ...),
            "changes": ([[(str, None)]], ...),
        },
        ...,
    ),
    "environment": ({...: str}, ...),
}


def check_shape(value: object, shape: object, place: str = "") -> None:
    """Compare JSON data with a shape.

    Args:
        value: The data.
        shape: A type (``float`` takes every finite number below 1e15, ``int`` whole ones that are not negative), a set of allowed values,
            a list of one shape for all items, a dict of shapes by key, where ``...`` stands for every other key, or a tuple of shapes of
            which one must fit; ``...`` in the tuple of a key means that the key may be missing.
        place: Where the value is, for the message.

    Raises:
        ValueError: If the data differ; the message names the place, what was expected and what came.
    """
    if shape is ANY:
        return
    if isinstance(shape, tuple):
        options = [option for option in shape if option is not ...]
        if len(options) == 1 or (value is not None and options[1:] == [None]):
            check_shape(value, options[0], place)
        elif not any(_fits(value, option, place) for option in options):
            raise ValueError(_say(place, shape, value))
    elif isinstance(shape, Mapping):
        if not isinstance(value, Mapping):
            raise ValueError(_say(place, shape, value))
        for key, inner in shape.items():
            if key is not ... and key not in value and not (isinstance(inner, tuple) and ... in inner):
                raise ValueError(f"'{_join(place, key)}' is missing")
        for key, item in value.items():
            check_shape(item, shape.get(key, shape.get(..., ANY)), _join(place, key))
    elif isinstance(shape, list):
        if not isinstance(value, list):
            raise ValueError(_say(place, shape, value))
        for i, item in enumerate(value):
            check_shape(item, shape[0], f"{place}[{i}]")
    elif not _is_one(value, shape):
        raise ValueError(_say(place, shape, value))


def _fits(value: object, shape: object, place: str) -> bool:
    try:
        check_shape(value, shape, place)
    except ValueError:
        return False
    return True


def _is_one(value: object, shape: object) -> bool:
    if isinstance(shape, set):
        return isinstance(value, str | None) and value in shape
    if shape is None or shape is str:
        return value is None if shape is None else isinstance(value, str)
    if shape is Color:
        parts = value if isinstance(value, list) else []
        whole = len(parts) == 3 and all(type(part) is int and 0 <= part <= 255 for part in parts)
        return whole or (isinstance(value, str) and _HEX.fullmatch(value) is not None)
    if type(value) not in (int, float):
        return False
    return 0 <= value < _LARGEST and type(value) is int if shape is int else abs(value) < _LARGEST  # nan is smaller than nothing


def _join(place: str, key: object) -> str:
    return f"{place}.{key}" if place else str(key)


def _say(place: str, shape: object, value: object) -> str:
    kinds = {dict: "an object", list: "a list"}
    return f"'{place or 'the content'}' should be {_name(shape)}, it is {kinds.get(type(value)) or repr(value)[:40]}"


def _name(shape: object) -> str:
    if isinstance(shape, tuple):
        return " or ".join(dict.fromkeys(_name(option) for option in shape if option is not ...))
    if isinstance(shape, set):
        return f"one of {', '.join(sorted(map(str, shape)))}"
    kinds = {str: "a text", int: "a whole number from 0", float: "a finite number", None: "null", Color: "#rrggbb or three integers to 255"}
    return "an object" if isinstance(shape, Mapping) else "a list" if isinstance(shape, list) else kinds[shape]
