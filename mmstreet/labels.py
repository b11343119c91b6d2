"""The class tables: one row per class, from which names, palettes and lookup tables are derived.

Ids on disk (``raw_id``) and ids that the model learns (``train_id``) are in one table; 255 is "ignored" everywhere.
Colours and the seven groups are those of Cityscapes (Cordts et al., CVPR 2016). Pixel shares are per cent of all
labelled pixels: for BDD100K as published in the street-view study that this package follows (19 classes, 53,396,957
pixels counted), for CamVid over its 701 frames.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from mmstreet.files import colors
from mmstreet.files.label_ids import IGNORE_INDEX, outside_sentence
from mmstreet.label_table import Label, LabelTable, table_from_rows

__all__ = ["IGNORE_INDEX", "Label", "LabelTable"]

# name, id in Cityscapes' labelIds, group, colour, thing, pixels counted in BDD100K
_STREET19 = (
    ("road", 7, "flat", (128, 64, 128), False, 14_112_633),
    ("sidewalk", 8, "flat", (244, 35, 232), False, 1_072_369),
    ("building", 11, "construction", (70, 70, 70), False, 8_773_136),
    ("wall", 12, "construction", (102, 102, 156), False, 300_296),
    ("fence", 13, "construction", (190, 153, 153), False, 520_512),
    ("pole", 17, "object", (153, 153, 153), False, 635_225),
    ("traffic light", 19, "object", (250, 170, 30), False, 81_342),
    ("traffic sign", 20, "object", (220, 220, 0), False, 284_603),
    ("vegetation", 21, "nature", (107, 142, 35), False, 8_817_392),
    ("terrain", 22, "nature", (152, 251, 152), False, 725_905),
    ("sky", 23, "sky", (70, 130, 180), False, 11_134_137),
    ("person", 24, "human", (220, 20, 60), True, 187_644),
    ("rider", 25, "human", (255, 0, 0), True, 16_331),
    ("car", 26, "vehicle", (0, 0, 142), True, 5_684_376),
    ("truck", 27, "vehicle", (0, 0, 70), True, 622_560),
    ("bus", 28, "vehicle", (0, 60, 100), True, 401_880),
    ("train", 31, "vehicle", (0, 80, 100), True, 8_826),
    ("motorcycle", 32, "vehicle", (0, 0, 230), True, 7_140),
    ("bicycle", 33, "vehicle", (119, 11, 32), True, 10_650),
)

BDD100K_PIXEL_COUNTS = {row[0]: row[5] for row in _STREET19}
"""Pixels per class in BDD100K's 19 classes, by name."""

_TOTAL = sum(BDD100K_PIXEL_COUNTS.values())

BDD100K_SEM19 = LabelTable(
    "bdd100k_sem19",
    tuple(Label(n, i, i, group, rgb, thing, 100 * px / _TOTAL) for i, (n, _, group, rgb, thing, px) in enumerate(_STREET19)),
)
"""BDD100K's masks hold train ids already."""

CITYSCAPES19 = LabelTable(
    "cityscapes19",
    tuple(Label(n, i, raw, group, rgb, thing, 100 * px / _TOTAL) for i, (n, raw, group, rgb, thing, px) in enumerate(_STREET19)),
)
"""Cityscapes' ``_gtFine_labelIds.png`` files; shares are taken from BDD100K."""


def _pick(name: str, source: LabelTable, names: tuple[str, ...], *more: Label) -> LabelTable:
    rows = [source.labels[source.index(n)] for n in names]
    picked = [Label(r.name, i, i, r.group, r.color, r.is_thing, r.share) for i, r in enumerate(rows)]
    return LabelTable(name, (*picked, *more))


_SIX = ("bicycle", "motorcycle", "pole", "car", "person", "vegetation")
STREET6 = _pick("street6", BDD100K_SEM19, _SIX)
"""The six safety-critical classes."""

BACKGROUND = Label("background", 6, 6, "background", (0, 0, 0), False, 70.0)
STREET6_BACKGROUND = _pick("street6_background", BDD100K_SEM19, _SIX, BACKGROUND)
"""The six classes and the rest of the scene as a class of its own."""

_INS8 = ("pedestrian", "rider", "car", "truck", "bus", "train", "motorcycle", "bicycle")
BDD100K_INS8 = LabelTable(
    "bdd100k_ins8",
    tuple(
        Label(n, i, i + 1, row.group, row.color, True, row.share)
        for i, n in enumerate(_INS8)
        for row in [BDD100K_SEM19.labels[BDD100K_SEM19.index({"pedestrian": "person"}.get(n, n))]]
    ),
)
"""BDD100K's instance classes; ``raw_id`` is the category id 1…8 of the bitmasks and of COCO files."""

_DET10 = (*BDD100K_INS8.labels, *(BDD100K_SEM19.labels[BDD100K_SEM19.index(n)] for n in ("traffic light", "traffic sign")))
BDD100K_DET10 = LabelTable("bdd100k_det10", tuple(Label(r.name, i, i + 1, r.group, r.color, True, r.share) for i, r in enumerate(_DET10)))
"""BDD100K's detection classes; the first eight are those of ``BDD100K_INS8``."""

CAMVID11 = LabelTable(
    "camvid11",
    (
        Label("sky", 0, 0, "sky", (128, 128, 128), False, 15.8),
        Label("building", 1, 1, "construction", (128, 0, 0), False, 24.1),
        Label("pole", 2, 2, "object", (192, 192, 128), False, 0.99),
        Label("road", 3, 3, "flat", (128, 64, 128), False, 29.3),
        Label("pavement", 4, 4, "flat", (0, 0, 192), False, 6.69),
        Label("tree", 5, 5, "nature", (128, 128, 0), False, 11.2),
        Label("signsymbol", 6, 6, "object", (192, 128, 128), False, 1.08),
        Label("fence", 7, 7, "construction", (64, 64, 128), False, 1.43),
        Label("car", 8, 8, "vehicle", (64, 0, 128), True, 4.64),
        Label("pedestrian", 9, 9, "human", (64, 64, 0), True, 0.64),
        Label("bicyclist", 10, 10, "human", (0, 128, 192), True, 0.54),
    ),
    void_ids=(11,),
)
"""CamVid in SegNet's 11-class form, in which 11 is void; its colours are CamVid's own."""

# AutoNUE's level-3 ids (github.com/AutoNUE/public-code, helpers/anue_labels.py); a merged class has name and colour of one of its parts.
_IDD26 = (
    ("road", "flat", (128, 64, 128), False),
    ("drivable fallback", "flat", (81, 0, 81), False),
    ("sidewalk", "flat", (244, 35, 232), False),
    ("non-drivable fallback", "flat", (152, 251, 152), False),
    ("person", "human", (220, 20, 60), True),
    ("rider", "human", (255, 0, 0), True),
    ("motorcycle", "vehicle", (0, 0, 230), True),
    ("bicycle", "vehicle", (119, 11, 32), True),
    ("autorickshaw", "vehicle", (255, 204, 54), True),
    ("car", "vehicle", (0, 0, 142), True),
    ("truck", "vehicle", (0, 0, 70), True),
    ("bus", "vehicle", (0, 60, 100), True),
    ("vehicle fallback", "vehicle", (136, 143, 153), True),
    ("curb", "flat", (220, 190, 40), False),
    ("wall", "construction", (102, 102, 156), False),
    ("fence", "construction", (190, 153, 153), False),
    ("guard rail", "construction", (180, 165, 180), False),
    ("billboard", "object", (174, 64, 67), False),
    ("traffic sign", "object", (220, 220, 0), False),
    ("traffic light", "object", (250, 170, 30), False),
    ("pole", "object", (153, 153, 153), False),
    ("obs-str-bar-fallback", "object", (169, 187, 214), False),
    ("building", "construction", (70, 70, 70), False),
    ("bridge", "construction", (150, 100, 100), False),
    ("vegetation", "nature", (107, 142, 35), False),
    ("sky", "sky", (70, 130, 180), False),
)
IDD26 = LabelTable("idd26", tuple(Label(name, i, i, *rest) for i, (name, *rest) in enumerate(_IDD26)))
"""India Driving Dataset (Varma et al., WACV 2019), ``_gtFine_labellevel3Ids.png`` files; pixel shares are not known."""

# name, id in WildDash 2's label ids, group, colour, thing; the ids that it shares with Cityscapes are Cityscapes' own.
_WILDDASH_ONLY = {
    "ego vehicle": (1, "vehicle", (0, 20, 50), True),
    "guard rail": (14, "construction", (180, 165, 180), False),
    "pickup": (34, "vehicle", (40, 0, 100), True),
    "van": (35, "vehicle", (0, 40, 120), True),
    "billboard": (36, "object", (174, 64, 67), False),
    "streetlight": (37, "object", (210, 170, 100), False),
    "roadmarking": (38, "flat", (196, 176, 128), False),
}
_WILDDASH_NAMES = (
    *("ego vehicle", "road", "sidewalk", "building", "wall", "fence", "guard rail", "pole", "traffic light", "traffic sign"),
    *("vegetation", "terrain", "sky", "person", "rider", "car", "truck", "bus", "motorcycle", "bicycle"),
    *("pickup", "van", "billboard", "streetlight", "roadmarking"),
)


def _wilddash_row(train_id: int, name: str) -> Label:
    if name in _WILDDASH_ONLY:
        raw, group, color, thing = _WILDDASH_ONLY[name]
        return Label(name, train_id, raw, group, color, thing)
    row = CITYSCAPES19.labels[CITYSCAPES19.index(name)]
    return Label(name, train_id, row.raw_id, row.group, row.color, row.is_thing)


WILDDASH25 = LabelTable("wilddash25", tuple(_wilddash_row(i, name) for i, name in enumerate(_WILDDASH_NAMES)))
"""WildDash 2's 25 evaluated classes (Zendel et al., CVPR 2022), without train; pixel shares are not known."""


CITYSCAPES19_TRAIN_IDS = CITYSCAPES19.with_train_ids()
"""Cityscapes' classes in files that hold train ids: ``labelTrainIds``, predictions, pseudo-masks."""
WILDDASH25_TRAIN_IDS = WILDDASH25.with_train_ids()
"""WildDash 2's classes in files that hold train ids."""

_TABLES = (BDD100K_SEM19, CITYSCAPES19, STREET6, STREET6_BACKGROUND, BDD100K_INS8, BDD100K_DET10, CAMVID11, WILDDASH25, IDD26)
TABLES = {t.name: t for t in (*_TABLES, CITYSCAPES19_TRAIN_IDS, WILDDASH25_TRAIN_IDS)}

_KNOWN = {label.name: label for table in (BDD100K_INS8, IDD26, CAMVID11, WILDDASH25, CITYSCAPES19) for label in table.labels}
"""Classes by name; of several tables that have one, the last counts."""

SYNONYMS = {
    "road": (
        "lanemkgsdriv",
        "lane marking general",
        "roadmarking",
        "lane",
        "drivable area",
        "street",
        "service lane",
        "bike lane",
        "parking",
    ),
    "sidewalk": ("pavement", "footpath", "footway", "curb", "pedestrian area"),
    "building": ("archway", "house"),
    "vegetation": ("tree", "vegetationmisc", "plant", "bush"),
    "person": ("pedestrian", "child", "people", "human"),
    "rider": ("other rider", "motorcyclist"),
    "traffic sign": ("signsymbol", "sign", "traffic sign front", "traffic sign back"),
    "traffic light": ("trafficlight", "traffic signal"),
    "pole": ("column pole", "utility pole", "polegroup", "streetlight", "street light"),
    "fence": ("guard rail", "guardrail"),
    "car": ("suvpickuptruck", "van", "pickup", "cargroup"),
    "train": ("on rails", "tram"),
    "motorcycle": ("motorbike", "motorcyclescooter"),
    "bicycle": ("bike", "cycle"),
}
"""Names of other data sets for a class. CamVid's ``bicyclist`` is none of them: it is a rider with the bicycle."""
_MEANT = {other: name for name, others in SYNONYMS.items() for other in others}


def plain_name(name: str) -> str:
    """Return a class name in small letters, with blanks for other signs: ``Traffic_Sign (Front)`` is ``traffic sign front``."""
    return " ".join("".join(sign if sign.isalnum() else " " for sign in name.lower()).split())


def same_class(name: str, names: Iterable[str]) -> str | None:
    """Return the one of some class names that means the same as a name: equal but for signs and capitals, else a synonym; or ``None``."""
    plain = {plain_name(other): other for other in names}
    others = (plain_name(name), _MEANT.get(plain_name(name)), *SYNONYMS.get(plain_name(name), ()))
    return next((plain[other] for other in others if other in plain), None)


def known_class(name: str) -> Label | None:
    """Return the known class that a name means, ``None`` if there is none."""
    known = {**_KNOWN, BACKGROUND.name: BACKGROUND}
    found = same_class(name, known)
    return None if found is None else known[found]


REMAPS: dict[tuple[str, str], dict[str, str]] = {
    **{(source, "street6"): {name: name for name in _SIX} for source in ("bdd100k_sem19", "cityscapes19", "wilddash25", "idd26")},
    # CamVid labels rider and bicycle as one "bicyclist" and has no motorcycle.
    ("camvid11", "street6"): {"bicyclist": "bicycle", "pole": "pole", "car": "car", "pedestrian": "person", "tree": "vegetation"},
}
"""Which class of one table stands for which of another, by name; classes not named are left to the caller."""
REMAPS |= {(f"{source}_train_ids", to): pairs for (source, to), pairs in list(REMAPS.items()) if f"{source}_train_ids" in TABLES}
REMAPS |= {(source, "street6_background"): pairs for (source, _), pairs in list(REMAPS.items())}


def get_table(table: str | LabelTable | Iterable[Mapping], *, name: str = "the classes of the config") -> LabelTable:
    """Return a class table.

    Args:
        table: Name of a known table; rows, see :func:`mmstreet.label_table.table_from_rows`; or a table, which is returned as it is.
        name: Name of a table of rows, for messages.

    Raises:
        KeyError: If there is no table of that name; the message lists the known ones.
        ValueError: If the rows are wrong.
    """
    if isinstance(table, LabelTable):
        return table
    if not isinstance(table, str):
        return table_from_rows(table, name=name, known=_KNOWN)
    if table not in TABLES:
        raise KeyError(f"unknown class table '{table}'; known tables: {', '.join(sorted(TABLES))}; or give rows, see docs/own_data.md")
    return TABLES[table]


def find_table(metainfo: Mapping) -> LabelTable | None:
    """Return the class table behind a data set's ``metainfo``: that of its ``label_rows``, or a known one of the same names in order."""
    if metainfo.get("label_rows"):
        return table_from_rows(metainfo["label_rows"], name="the classes of the data set", known={}, unique_colors=False)
    return next((table for table in TABLES.values() if table.names == tuple(metainfo.get("classes") or ())), None)


def are_rows_of(rows: object, classes: Sequence[str]) -> bool:
    """Whether something that was read from a file is the list of rows of a class table with these classes in this order."""
    try:
        return isinstance(rows, list) and find_table({"label_rows": rows}).names == tuple(classes)
    except (ValueError, TypeError, AttributeError):
        return False


def colorize(labels: np.ndarray, table: LabelTable) -> np.ndarray:
    """Return train ids, uint8 ``[H, W]``, in the table's colours, RGB uint8 ``[H, W, 3]``; 255 and ids outside the table are black."""
    return colors.colorize(labels, table.palette, no_class=colors.IGNORED)


def outside_message(table: LabelTable, label_id: int, *, path: object, y: int, x: int, count: int) -> str:
    """Say that a label file holds an id that its class table does not have.

    Args:
        table: The class table.
        label_id: The id.
        path: The file.
        y: Row of the first pixel with that id.
        x: Column of the first pixel with that id.
        count: Number of pixels with that id.
    """
    return outside_sentence(
        label_id,
        where=path,
        expected=f"not in table '{table.name}' ({len(table)} classes)",
        position=[y, x],
        count=count,
        advice="repair the file, add the id to labels.py, or load with unlisted='ignore'",
    )
