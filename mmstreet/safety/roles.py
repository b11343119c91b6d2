"""What a class means on the road: the one place where class names become roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mmstreet.labels import TABLES, LabelTable

ROAD, GROUND, PERSON, VEHICLE, STANDING, SKY, BACKGROUND, IGNORED = range(8)
"""Road; other ground; people and two-wheelers; vehicles; anything else that stands; sky; no class; not judged."""

NUM_ROLES = 8
ROLE_NAMES = ("road", "ground", "person", "vehicle", "standing", "sky", "background", "ignored")

_ROLE_OF_GROUP = {"flat": "ground", "human": "person", "vehicle": "vehicle", "sky": "sky", "background": "background", "void": "ignored"}
_ROLE_OF_GROUP |= dict.fromkeys(("construction", "object", "nature"), "standing")
_ROLE_OF_CLASS = (
    {x.name: ROLE_NAMES.index(_ROLE_OF_GROUP[x.group]) for table in TABLES.values() for x in table.labels}
    | {"road": ROAD, "roadmarking": ROAD, "terrain": GROUND, "ego vehicle": IGNORED}
    | {"bicycle": PERSON, "motorcycle": PERSON}
)


def roles_from_table(table: LabelTable) -> dict[str, str]:
    """Return the roles that a class table says: a row's ``role``, and for a class that is not known by name, what its group means.

    Classes of the group ``flat`` are ground, not road: what is driven on has to be called "road" or to have the role.
    """
    guessed = {x.name: _ROLE_OF_GROUP[x.group] for x in table.labels if x.name not in _ROLE_OF_CLASS and x.group in _ROLE_OF_GROUP}
    return guessed | {x.name: x.role for x in table.labels if x.role is not None}


def roles_of(classes: Sequence[str], extra: Mapping[str, str] | None = None) -> np.ndarray:
    """Return the role of every class.

    Args:
        classes: Class names in id order.
        extra: Roles of classes of your own, or other roles for known ones: class name to one of :data:`ROLE_NAMES`.

    Returns:
        int64 ``[C]``, roles from :data:`ROAD` to :data:`IGNORED`.

    Raises:
        ValueError: If a class has no role, or a role does not exist.

    Example:
        >>> roles_of(["road", "person", "tram"], {"tram": "vehicle"}).tolist()
        [0, 2, 3]
    """
    extra = dict(extra or {})
    stray = sorted(set(extra.values()) - set(ROLE_NAMES))
    if stray:
        raise ValueError(f"unknown role '{stray[0]}'; choose one of {', '.join(ROLE_NAMES)}")
    known = _ROLE_OF_CLASS | {name: ROLE_NAMES.index(role) for name, role in extra.items()}
    missing = [name for name in classes if name not in known]
    if missing:
        raise ValueError(
            f"it is not known what class '{missing[0]}' means on the road; "
            f"pass roles={{'{missing[0]}': ...}} with one of {', '.join(ROLE_NAMES)}"
        )
    return np.array([known[name] for name in classes], np.int64)
