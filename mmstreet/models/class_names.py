"""Which classes of a foreign model stand for which of a table, by name and never by position."""

from __future__ import annotations

import re
from collections.abc import Sequence

FOREIGN_NAMES: dict[str, tuple[str, ...]] = {
    # Left: Cityscapes' and BDD100K's nineteen. Right: names in ADE20K's 150, Mapillary Vistas' 66 and other street sets.
    "road": (
        *("route", "bike lane", "crosswalk - plain", "service lane", "lane marking - crosswalk", "lane marking - general"),
        *("catch basin", "manhole", "pothole", "roadmarking", "drivable fallback"),
    ),
    "sidewalk": ("pavement", "pedestrian area", "curb", "curb cut"),
    "building": ("edifice", "house", "skyscraper", "hovel", "tower"),
    "wall": (),
    "fence": ("fencing", "railing", "rail", "barrier"),
    "pole": ("utility pole", "street light", "street lamp", "polegroup"),
    "traffic light": ("traffic signal", "stoplight"),
    "traffic sign": ("signboard", "sign", "traffic sign (front)", "signsymbol"),
    "vegetation": ("tree", "plant", "flora", "palm", "palm tree", "flower"),
    "terrain": ("grass", "earth", "ground", "field", "land", "dirt track", "sand", "hill", "mountain", "mount", "non-drivable fallback"),
    "sky": (),
    "person": ("pedestrian", "individual", "someone"),
    "rider": ("bicyclist", "motorcyclist", "other rider", "cyclist"),
    "car": ("auto", "automobile", "van", "pickup"),
    "truck": ("motortruck", "lorry"),
    "bus": ("autobus", "coach"),
    "train": ("on rails", "tram"),
    "motorcycle": ("minibike", "motorbike"),
    "bicycle": ("bike", "cycle"),
}
"""The stated many-to-one table; a class that it does not name stands for none, and its pixels go to the next best class."""


def _key(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())


_STREET_NAME = {_key(other): street for street, others in FOREIGN_NAMES.items() for other in (street, *others)}


def match_classes(given: Sequence[str], wanted: Sequence[str]) -> list[list[int]]:
    """Return for each wanted class the positions of the given ones that stand for it; a position is in one list at most.

    The same name counts first, then the same class of the nineteen street classes by :data:`FOREIGN_NAMES`. A name may list synonyms with
    commas or semicolons between, as ADE20K's do. Case, spaces and hyphens count for nothing.

    Args:
        given: Class names of a model, in the order of its logits.
        wanted: Class names of a table.

    Raises:
        ValueError: If no class is found.

    Example:
        >>> match_classes(["Car", "van", "sky", "bed "], ["sky", "car", "rider"])
        [[2], [0, 1], []]
    """
    exact = {_key(name): k for k, name in enumerate(wanted)}
    street = {_STREET_NAME[_key(name)]: k for k, name in reversed(list(enumerate(wanted))) if _key(name) in _STREET_NAME}
    found: list[list[int]] = [[] for _ in wanted]
    for j, name in enumerate(given):
        keys = [_key(part) for part in re.split(r"[,;]", name)]
        places = [exact[key] for key in keys if key in exact]
        places += [street[_STREET_NAME[key]] for key in keys if _STREET_NAME.get(key) in street]
        if places:
            found[places[0]].append(j)
    if not any(found):
        raise ValueError(
            f"none of the model's {len(given)} classes ({', '.join(map(str, given[:4]))}, …) stands for one of {', '.join(wanted[:4])}, …; "
            "classes are matched by name: train with head='new', or give the classes that the model knows"
        )
    return found
