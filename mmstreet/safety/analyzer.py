"""The analyser that users hold: settings once, then one call per scene."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mmstreet.files.instances import Instances
from mmstreet.labels import LabelTable, find_table, get_table
from mmstreet.safety.roles import roles_from_table, roles_of
from mmstreet.safety.score import SafetyScore, find_blindness, score_scene
from mmstreet.safety.settings import SafetySettings


class RoadSafetyAnalyzer:
    """Scores street scenes from 0 (worst) to 100 by what a label map shows of the lane ahead.

    The idea, five parts in one composite with four risk levels, is that of the street-view study (Man, Leobandung, Jiang, Pan: Streetview
    Semantics, 2025); the formulas are this package's own, see ``docs/safety.md``. It is a research indicator and no safety certificate.

    Args:
        classes: Class names in id order; or give ``table``.
        table: Class table: a name of :mod:`mmstreet.labels`, rows, or the table.
        settings: A :class:`~mmstreet.safety.settings.SafetySettings`, or a dict of its arguments.
        roles: What classes of your own mean on the road: class name to ``'road'``, ``'ground'``, ``'person'``, ``'vehicle'``,
            ``'standing'``, ``'sky'``, ``'background'`` or ``'ignored'`` (the own bonnet).

    Attributes:
        blindness: Why every scene of these classes is unknown; ``None`` if scenes can be scored.

    Raises:
        ValueError: If neither or both of ``classes`` and ``table`` are given, or a class has no role.
        KeyError: If there is no such table.

    Example:
        >>> analyze = RoadSafetyAnalyzer(table="bdd100k_sem19")
        >>> street = np.zeros((90, 160), np.uint8)           # road wherever one looks
        >>> analyze(street).explain()
        '100 of 100, LOW risk.'
        >>> street[45:80, 75:85] = 11                        # a person in the lane
        >>> print(analyze(street).level)
        CRITICAL
    """

    def __init__(
        self,
        *,
        classes: Sequence[str] | None = None,
        table: str | LabelTable | Sequence[Mapping] | None = None,
        settings: SafetySettings | Mapping | None = None,
        roles: Mapping[str, str] | None = None,
    ) -> None:
        if (classes is None) == (table is None):
            raise ValueError("RoadSafetyAnalyzer needs either classes=... or table=..., to know what the ids mean")
        table = find_table({"classes": classes}) if table is None else get_table(table)
        self.classes = tuple(classes) if classes is not None else table.names
        self.settings = settings if isinstance(settings, SafetySettings) else SafetySettings(**(settings or {}))
        self.roles = (roles_from_table(table) if table is not None else {}) | dict(roles or {})
        # A class without a role is refused here, not at the first image.
        self.blindness = find_blindness(roles_of(self.classes, self.roles))

    def __call__(self, labels: np.ndarray, instances: Instances | None = None) -> SafetyScore:
        """Score one scene; see :func:`~mmstreet.safety.score.score_scene`.

        Args:
            labels: Class ids, integers ``[H, W]``.
            instances: Objects found one by one, added to the map.
        """
        return score_scene(labels, self.classes, settings=self.settings, instances=instances, roles=self.roles)
