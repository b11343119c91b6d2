"""What a class table is: its rows, what is derived from them, and how rows of a config become one."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from mmstreet.files.colors import spread_palette
from mmstreet.files.label_ids import IGNORE_INDEX

OTHER_GROUP = "other"
"""Group of a class of one's own that names none."""


@dataclass(frozen=True)
class Label:
    """One class.

    Attributes:
        name: Class name.
        train_id: Id that the model learns.
        raw_id: Id on disk.
        group: Category, e.g. ``'vehicle'``.
        color: RGB.
        is_thing: Whether its objects can be counted.
        share: Share of the pixels in per cent; ``None`` if it is not known.
        role: What the class means on the road, one of :data:`mmstreet.safety.roles.ROLE_NAMES`; ``None`` follows name and group.
    """

    name: str
    train_id: int
    raw_id: int
    group: str
    color: tuple[int, int, int]
    is_thing: bool
    share: float | None = None
    role: str | None = None


@dataclass(frozen=True)
class LabelTable:
    """An ordered class table; row ``i`` has ``train_id == i``.

    Attributes:
        name: Its name, for messages.
        labels: The rows.
        void_ids: Ids on disk that mean "not labelled", beside 255.
        void_colors: RGB colours on disk that mean "not labelled", beside black.
        is_own: Whether it is a table of the user's, which nobody finds by name and which therefore travels with the data.
    """

    name: str
    labels: tuple[Label, ...]
    void_ids: tuple[int, ...] = ()
    void_colors: tuple[tuple[int, int, int], ...] = ()
    is_own: bool = field(default=False, compare=False)

    def __post_init__(self):
        if [label.train_id for label in self.labels] != list(range(len(self.labels))):
            raise ValueError(f"{self.name}: train ids must be 0, 1, 2, … in row order")
        for what, values in (
            ("class names", self.names),
            ("ids", (*(label.raw_id for label in self.labels), *self.void_ids)),
        ):
            _check_unique(self.name, what, values)

    def __len__(self) -> int:
        return len(self.labels)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """Class names in train-id order."""
        return tuple(label.name for label in self.labels)

    @cached_property
    def palette(self) -> list[list[int]]:
        """RGB colours in train-id order, as mmseg's metainfo wants them."""
        return [list(label.color) for label in self.labels]

    @cached_property
    def metainfo(self) -> dict:
        """The ``metainfo`` of an OpenMMLab data set: ``classes``, ``palette`` and, for a table of the user's, ``label_rows``."""
        return {"classes": self.names, "palette": self.palette} | ({"label_rows": self.rows} if self.is_own else {})

    @cached_property
    def rows(self) -> list[dict]:
        """The rows as plain data, as :func:`table_from_rows` reads them."""
        return [
            dict(name=x.name, id=x.raw_id, color=list(x.color), group=x.group, thing=x.is_thing, share=x.share, role=x.role)
            for x in self.labels
        ]

    @cached_property
    def raw_to_train(self) -> np.ndarray:
        """Lookup table uint8 ``[256]`` from ids on disk to train ids; ids outside the table give 255."""
        lut = np.full(256, IGNORE_INDEX, np.uint8)
        for label in self.labels:
            lut[label.raw_id] = label.train_id
        return lut

    @cached_property
    def holds_train_ids(self) -> bool:
        """Whether ids on disk are the train ids, and void is 255 and nothing else."""
        return not self.void_ids and all(label.raw_id == label.train_id for label in self.labels)

    @cached_property
    def groups(self) -> dict[str, list[int]]:
        """Train ids of each group, groups in the order of their first class."""
        members: dict[str, list[int]] = {}
        for label in self.labels:
            members.setdefault(label.group, []).append(label.train_id)
        return members

    def index(self, name: str) -> int:
        """Return the train id of class ``name``.

        Raises:
            KeyError: If the table has no such class; the message lists the ones it has.
        """
        if name not in self.names:
            raise KeyError(f"class '{name}' is not in table '{self.name}', which has: {', '.join(self.names)}")
        return self.names.index(name)

    def with_void(self, values: Iterable[int | tuple[int, int, int]]) -> LabelTable:
        """Return the table with these ids and colours as "not labelled"; 255 is so anyway."""
        values = list(values)
        ids = tuple(x for x in values if isinstance(x, int) and x != IGNORE_INDEX)
        return replace(self, void_ids=ids, void_colors=tuple(tuple(x) for x in values if not isinstance(x, int)))

    def with_train_ids(self) -> LabelTable:
        """Return the table of files that hold these classes' train ids, such as predictions and pseudo-masks."""
        rows = tuple(Label(x.name, x.train_id, x.train_id, x.group, x.color, x.is_thing, x.share, x.role) for x in self.labels)
        return LabelTable(f"{self.name}_train_ids", rows, is_own=self.is_own)


def table_from_rows(rows: Iterable[Mapping], *, name: str, known: Mapping[str, Label], unique_colors: bool = True) -> LabelTable:
    """Build a class table from the rows of a config.

    A row is ``dict(name='tram', id=31, color=(0, 80, 100), group='vehicle', thing=True, share=6.6, role='vehicle')``. Only ``name`` is
    needed. Left out, ``id`` is the row's place (0, 1, 2, …); ``color``, ``group`` and ``thing`` are those of the class of the same name
    in ``known``, otherwise a colour of its own, ``'other'`` and ``False``; ``share`` is not known; ``role`` follows name and group.

    Args:
        rows: The rows, in the order of the train ids.
        name: Name of the table, for messages.
        known: Classes whose colour, group and countability a row of the same name takes over.
        unique_colors: Refuse two classes of one colour.

    Raises:
        ValueError: If a row has an unknown key or a value of another kind, or if names, ids or colours are not unique.

    Example:
        >>> table_from_rows([dict(name="road", id=7), dict(name="tram", id=31)], name="mine", known={}).raw_to_train[[7, 31, 8]].tolist()
        [0, 1, 255]
    """
    rows = list(rows) if isinstance(rows, Iterable) else [rows]
    if not rows:
        raise ValueError(f"{name}: there is no class; give rows such as dict(name='road', id=7, color=(128, 64, 128))")
    filled = []
    for i, row in enumerate(rows):
        _check_row(row, f"{name}, row {i}")
        like = known.get(row["name"])
        inherited = dict(group=like.group, color=like.color, thing=like.is_thing) if like else dict(group=OTHER_GROUP, thing=False)
        filled.append({"id": i, **inherited, **{key: value for key, value in row.items() if value is not None}})
    taken = {tuple(row["color"]) for row in filled if "color" in row}
    spare = (tuple(color) for color in spread_palette(4 * len(rows) + 256) if tuple(color) not in taken)
    labels = tuple(
        Label(
            row["name"],
            i,
            row["id"],
            row["group"],
            tuple(row["color"]) if "color" in row else next(spare),
            row["thing"],
            row.get("share"),
            row.get("role"),
        )
        for i, row in enumerate(filled)
    )
    table = LabelTable(name, labels, is_own=True)
    if unique_colors:
        _check_unique(name, "colours", [label.color for label in labels])
    return table


def check_keys(given: object, allowed: Sequence[str], *, where: str, needed: Sequence[str] = ()) -> None:
    """Refuse a dict of a config with a key that is not known, or without one that is needed.

    Args:
        given: The dict.
        allowed: Keys that it may have.
        where: What it is, for the message.
        needed: Keys that it must have.

    Raises:
        ValueError: The message names the key and the nearest one that is allowed.
    """
    if not isinstance(given, Mapping):
        raise ValueError(f"{where}: expected dict({', '.join(f'{key}=…' for key in allowed)}), got {given!r}")
    for key in given:
        if key not in allowed:
            near = difflib.get_close_matches(str(key), allowed, n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"it may have {', '.join(allowed)}"
            raise ValueError(f"{where}: unknown key '{key}'; {hint}")
    for key in needed:
        if key not in given:
            raise ValueError(f"{where}: '{key}' is missing")


def _check_unique(name: str, what: str, values: Sequence) -> None:
    twice = next((value for value in values if values.count(value) > 1), None)
    if twice is not None:
        raise ValueError(f"{name}: {what} must be unique, but {twice!r} is there {values.count(twice)} times")


def _check_row(row: object, where: str) -> None:
    check_keys(row, ("name", "id", "color", "group", "thing", "share", "role"), where=where, needed=("name",))
    expected = {
        "name": ("a text", lambda x: isinstance(x, str) and bool(x.strip())),
        "id": ("a whole number from 0 to 254 (255 is void)", lambda x: _is_whole(x, IGNORE_INDEX - 1)),
        "color": (
            "three whole numbers from 0 to 255",
            lambda x: isinstance(x, list | tuple) and len(x) == 3 and all(_is_whole(part, 255) for part in x),
        ),
        "group": ("a text", lambda x: isinstance(x, str)),
        "thing": ("True or False", lambda x: isinstance(x, bool)),
        "share": ("a per cent from 0 to 100", lambda x: isinstance(x, int | float) and not isinstance(x, bool) and 0 <= x <= 100),
        "role": ("a text", lambda x: isinstance(x, str)),
    }
    for key, value in row.items():
        what, is_right = expected[key]
        if not is_right(value) and (value is not None or key == "name"):
            raise ValueError(f"{where}: {key} must be {what}, not {value!r}")


def _is_whole(value: object, high: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= high
