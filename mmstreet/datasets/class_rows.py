"""The class rows of a data set, guessed from what its label files hold and from the names that lie beside them."""

from __future__ import annotations

import difflib
from collections import Counter
from dataclasses import dataclass, field

from mmstreet.datasets.class_names import VOC20, Row, is_void
from mmstreet.datasets.label_survey import LabelSurvey
from mmstreet.files.colors import spread_palette
from mmstreet.labels import IGNORE_INDEX, TABLES, LabelTable, get_table, known_class, plain_name

_MANY = 5
"""Classes that one sentence names."""
_FIT = 0.99
"""Share of the pixels that has to be explained by known colours before they are believed."""


@dataclass
class ClassGuess:
    """Rows of the class table, how a palette is read, which ids and colours are void, and what is doubtful about it."""

    rows: list[Row] = field(default_factory=list)
    palette: str = "color"
    void: list[int | tuple[int, int, int]] = field(default_factory=list)
    suspicions: list[str] = field(default_factory=list)


def guess_classes(found: LabelSurvey, listed: list[Row] | None, *, source: str = "", hint: str = "") -> ClassGuess:
    """Guess the class table of label files.

    Colours are believed where a class list or a known table explains nearly all pixels; otherwise a palette's indices are the ids. A name
    takes group, colour and countability of the known class that it means.

    Args:
        found: What the label files hold.
        listed: Rows of the class list beside them, or ``None``.
        source: The file of that list, for sentences.
        hint: Folder and ending of the label files; ``trainIds`` in it names Cityscapes' train ids.
    """
    guess = ClassGuess()
    if len(found.kinds) > 1:
        guess.suspicions.append(f"label files are of several kinds ({', '.join(f'{n} of {k}' for k, n in found.kinds.most_common())})")
    kind = found.kinds.most_common(1)[0][0] if found.kinds else "ids"
    colors = {row["color"]: row["name"] for row in listed or () if "color" in row}
    if not colors and not listed and kind != "ids":
        colors = _known_colors(found.colors)
    explained = _explained(found.colors, colors)
    if kind == "rgb" or (kind == "palette" and colors and explained >= _FIT):
        _rows_by_color(guess, found.colors, colors, source)
    else:
        guess.palette = "index" if kind == "palette" else "color"
        _rows_by_id(guess, found, listed, source=source, hint=hint)
    guess.rows = fill_rows(guess.rows, guess.suspicions)
    return guess


def rows_of_table(table: LabelTable) -> list[Row]:
    """Return the rows of a known table, without its shares, which are those of another data set."""
    return [{key: value for key, value in row.items() if value is not None and key != "share"} for row in table.rows]


def _rows_by_color(guess: ClassGuess, used: Counter, colors: dict[tuple, str], source: str) -> None:
    guess.rows = [{"name": name, "color": color} for color, name in colors.items() if not is_void(name)]
    black = (0, 0, 0)
    guess.void = [color for color, name in colors.items() if is_void(name) and color != black]
    strange = [color for color, _ in used.most_common() if color not in colors and color != black]
    total = sum(used.values())
    for color in strange:
        nearest = min(colors, key=lambda other: sum((a - b) ** 2 for a, b in zip(color, other)), default=None)
        near = f"; nearest is {nearest} of '{colors[nearest]}'" if nearest else ""
        where = f"is in no class of {source}" if source else "is that of no known class"
        guess.suspicions.append(
            f"colour {color}, {100 * used[color] / total:.2g} % of the pixels, {where}{near}; name its row, or move it to 'void'"
        )
        guess.rows.append({"name": "rgb_{}_{}_{}".format(*color), "color": color})
    if used[black] and black not in colors:
        guess.suspicions.append(f"black, {100 * used[black] / total:.2g} % of the pixels, is no class and counts as not labelled")
    for i, row in enumerate(guess.rows):
        row["id"] = i


def _rows_by_id(guess: ClassGuess, found: LabelSurvey, listed: list[Row] | None, *, source: str, hint: str) -> None:
    used = sorted(set(found.ids) - {IGNORE_INDEX})
    total = max(1, sum(found.ids.values()))
    if not listed:
        listed = _names_without_list(guess, found, used, hint)
    numbered = all("id" in row for row in listed)
    rows = [{**row, "id": row["id"] if numbered else i} for i, row in enumerate(listed)]
    if not numbered and used and max(used) == len(rows) and not is_void(rows[0]["name"]):
        guess.suspicions.append(
            f"{len(rows)} names in {source}, but ids go to {max(used)}: the names are taken to begin at id 1, and 0 as not labelled"
        )
        rows = [{**row, "id": row["id"] + 1} for row in rows]
    guess.void = [row["id"] for row in rows if is_void(row["name"]) and row["id"] != IGNORE_INDEX]
    guess.rows = [row for row in rows if not is_void(row["name"]) and 0 <= row["id"] < IGNORE_INDEX]
    beyond = [row["name"] for row in rows if row["id"] > IGNORE_INDEX or row["id"] < 0]
    if beyond:
        guess.suspicions.append(f"ids above 254 cannot be in an 8-bit label map: {', '.join(beyond[:_MANY])}")
    nameless = [value for value in used if value not in {row["id"] for row in rows}]
    for value in nameless:
        guess.suspicions.append(
            f"id {value}, {100 * found.ids[value] / total:.2g} % of the pixels, has no name in {source}: it is void unless a row names it"
        )
    guess.void += nameless
    if found.ids and set(found.ids) <= {0, IGNORE_INDEX} and found.ids[IGNORE_INDEX]:
        guess.suspicions.append(
            "label files hold 0 and 255 only, as black and white masks of one object do; 255 means 'not labelled', so write 1 in its place"
        )


def _names_without_list(guess: ClassGuess, found: LabelSurvey, used: list[int], hint: str) -> list[Row]:
    if found.palette and all(found.palette.get(value) == _voc_color(value) for value in used) and used and max(used) <= len(VOC20):
        names = ("background", *VOC20)
        return [{"name": name, "id": i, "color": _voc_color(i)} for i, name in enumerate(names)]
    if "trainid" in hint.lower().replace("_", "") and set(used) <= set(range(19)):
        return rows_of_table(get_table("cityscapes19_train_ids"))
    fitting = [name for name, table in TABLES.items() if used and set(used) <= {*(row.raw_id for row in table.labels), *table.void_ids}]
    advice = f"; the ids fit {', '.join(sorted(fitting)[:_MANY])}: to take its names write 'classes: NAME'" if fitting else ""
    guess.suspicions.append(
        f"no file names the classes of the ids {used[0] if used else '-'} to {used[-1] if used else '-'}: they are called class_ID{advice}"
    )
    palette = found.palette if len(set(found.palette.values())) == len(found.palette) else {}
    return [{"name": f"class_{value}", "id": value} | ({"color": palette[value]} if value in palette else {}) for value in used]


def fill_rows(rows: list[Row], suspicions: list[str]) -> list[Row]:
    """Return rows with group, countability and colour of the known classes that they mean; name those that mean none, with the nearest."""
    taken = {tuple(row["color"]) for row in rows if "color" in row}
    spare = (tuple(color) for color in spread_palette(4 * len(rows) + 256) if tuple(color) not in taken)
    known = sorted({name for table in TABLES.values() for name in table.names})
    strange = []
    for row in rows:
        like = known_class(row["name"])
        if like is None:
            near = difflib.get_close_matches(plain_name(row["name"]), known, 1, 0.75)
            if not row["name"].startswith(("class_", "rgb_")):
                strange.append(f"{row['name']} (nearest: {near[0]})" if near else row["name"])
            continue
        row["group"], row["thing"] = row.get("group", like.group), row.get("thing", like.is_thing)
        if "color" not in row:
            row["color"] = next(spare) if tuple(like.color) in taken else tuple(like.color)
            taken.add(row["color"])
    if strange:
        suspicions.append(f"names that are not known, of group 'other' unless their rows say more: {', '.join(strange)}")
    order = ("name", "id", "color", "group", "thing")
    return [{key: row[key] for key in order if key in row} for row in rows]


def _known_colors(used: Counter) -> dict[tuple, str]:
    """Return the colours of the known table that explains most pixels, if it explains nearly all."""
    tables = [{tuple(row.color): row.name for row in table.labels} for table in TABLES.values()]
    best = max(tables, key=lambda colors: (_explained(used, colors), -len(colors)))
    return best if _explained(used, best) >= _FIT else {}


def _explained(used: Counter, colors: dict) -> float:
    total = sum(count for color, count in used.items() if color != (0, 0, 0))
    return sum(count for color, count in used.items() if color in colors and color != (0, 0, 0)) / total if total else 0.0


def _voc_color(index: int) -> tuple[int, int, int]:
    """Pascal VOC's colour of a class: its bits, taken in turn for red, green and blue, from the highest down."""
    channels = [0, 0, 0]
    for place in range(8):
        for channel in range(3):
            channels[channel] |= (index >> (3 * place + channel) & 1) << (7 - place)
    return channels[0], channels[1], channels[2]
