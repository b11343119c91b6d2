"""What a class means on the road: the one place where class names become roles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

ROAD, GROUND, PERSON, VEHICLE, STANDING, SKY, BACKGROUND, IGNORED = range(8)
"""Road; other ground; people and two-wheelers; vehicles; anything else that stands; sky; no class; not judged."""

NUM_ROLES = 8
ROLE_NAMES = ("road", "ground", "person", "vehicle", "standing", "sky", "background", "ignored")

_ROLE_OF_CLASS = (
    {"road": ROAD, "roadmarking": ROAD, "sky": SKY, "background": BACKGROUND, "ego vehicle": IGNORED}
    | dict.fromkeys(("sidewalk", "pavement", "terrain"), GROUND)
    | dict.fromkeys(("person", "pedestrian", "rider", "bicyclist", "bicycle", "motorcycle"), PERSON)
    | dict.fromkeys(("car", "truck", "bus", "train", "pickup", "van"), VEHICLE)
    | dict.fromkeys(("building", "wall", "fence", "pole", "traffic light", "traffic sign", "signsymbol", "vegetation", "tree"), STANDING)
    | dict.fromkeys(("guard rail", "billboard", "streetlight"), STANDING)
)


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
