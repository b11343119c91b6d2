"""From a class, a slice or a confusion to the images of an album that show it, those that show most of it first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from mmstreet.report.album import FEWER, LIMIT, Entry, Source, describe_images, describe_refined, gather_entries
from mmstreet.report.run_files import Evaluation, Run
from mmstreet.report.run_folder import RunFolder

LONGEST = 12
"""Images of one list."""
_CONFUSIONS = 12
"""Confusions that the menu names; each cell of the table leads to its images."""

Items = Sequence[tuple[float, int, str]]
"""Of each image the place in the list, lowest first, its place in the album, and a note."""


def describe_album(run: Run, one: Evaluation, *, first: bool = True) -> dict | None:
    """Lay out the images of one evaluation; ``None`` if it kept none."""
    return _lay_album([Source(one.name, "prediction", run.folder, one, run.image_counts(one))], limit=LIMIT if first else FEWER)


def compare_album(runs: Sequence[Run]) -> dict | None:
    """Lay out the images of the main evaluations of several runs, each with the predictions of all; ``None`` if none was kept.

    Runs on other classes than the first one have no place there, for one colour would mean two things.
    """
    sources = [Source(f"run{i}", run.name, run.folder, run.main, run.image_counts(run.main)) for i, run in comparable(runs)]
    return _lay_album(sources, limit=LIMIT)


def refined_album(found: Mapping | None, folder: RunFolder) -> dict | None:
    """Lay out the images that a test of refiners kept; ``None`` if it kept none."""
    if not found or not found["images"]:
        return None
    album = describe_refined(found, folder)
    everything = [(i, i, "") for i in range(len(album["images"]))]
    lists = {"refined/all": _as_list("images that changed most", everything, longest=len(everything))}
    return _finish(album, lists, [{"group": "Images", "keys": list(lists)}], 0)


def comparable(runs: Sequence[Run]) -> list[tuple[int, Run]]:
    """Return the runs, with their numbers from 1, whose main evaluation has the classes of the first one that has any."""
    tested = [(i, run) for i, run in enumerate(runs, 1) if run.main is not None and run.main.semantic]
    return [(i, run) for i, run in tested if run.main.semantic["classes"] == tested[0][1].main.semantic["classes"]]


def _lay_album(sources: Sequence[Source], *, limit: int) -> dict | None:
    entries, left_out = gather_entries(sources, limit=limit)
    if not entries:
        return None
    menu = {"Images": _list_all(sources, entries)}
    menu |= {"Classes": {}, "Slices": {}, "Confusions": {}}
    others = {}
    for place, source in enumerate(sources):
        of = f" ({source.name})" if len(sources) > 1 else ""
        menu["Classes"] |= _list_classes(source, entries, place, of)
        menu["Slices"] |= _list_slices(source, entries, place, of)
        cells = _list_cells(source, entries, place, of)
        menu["Confusions"] |= dict(list(cells.items())[:_CONFUSIONS])
        others |= cells
    lists = {key: found for part in (*menu.values(), others) for key, found in part.items()}
    menu = [{"group": group, "keys": list(part)} for group, part in menu.items() if part]
    return _finish(describe_images(sources, entries), lists, menu, left_out)


def _finish(album: dict, lists: Mapping, menu: Sequence[Mapping], left_out: int) -> dict:
    images = album["images"]
    return album | {
        "lists": lists,
        "menu": menu,
        "left_out": left_out,
        "facts": [{key: image[key] for key in ("title", "note", "present")} for image in images],
        "present": sorted({place for image in images for place in image["present"]}),
        "start": next((i for i, layer in enumerate(album["layers"]) if layer["kind"] == "marks"), 0),
    }


def _list_all(sources: Sequence[Source], entries: Sequence[Entry]) -> dict[str, dict]:
    found = {}
    for place, source in enumerate(sources):
        of = f" ({source.name})" if len(sources) > 1 else ""
        for kind, title in (("worst", "lowest mIoU"), ("examples", "spread evenly over the data set")):
            own = [(i, entry.rows[place]) for i, entry in enumerate(entries) if kind in (entry.rows[place] or {}).get("lists", ())]
            items = [((row.get("mIoU") or 0) if kind == "worst" else i, i, "") for i, row in own]
            found[f"{source.key}/{kind}"] = _as_list(f"{title}{of}", items)
        if place:
            scores = [(i, sources[0].score(entry.numbers[0]), source.score(entry.numbers[place])) for i, entry in enumerate(entries)]
            gains = [(i, after - before) for i, before, after in scores if before is not None and after is not None]
            for kind, sign in (("better", 1), ("worse", -1)):
                items = [(-sign * gain, i, f"mIoU {gain:+.1f}".replace("-", "−")) for i, gain in gains if sign * gain > 0]
                found[f"{source.key}/{kind}"] = _as_list(f"{source.name} {kind} than {sources[0].name}", items)
    everything = [(i, i, "") for i in range(len(entries))]
    found[f"{sources[0].key}/all"] = _as_list("all images shown here", everything, longest=len(entries))
    return {key: part for key, part in found.items() if part["items"]}


def _list_classes(source: Source, entries: Sequence[Entry], place: int, of: str) -> dict[str, dict]:
    found = {}
    for label, name in enumerate(source.one.semantic["classes"]):
        items = []
        for i, counts in _counts(source, entries, place):
            right = int(counts[label, label])
            missed, extra = int(counts[label].sum()) - right, int(counts[:, label].sum()) - right
            if missed or extra:
                iou = 100 * right / (right + missed + extra)
                items.append((-(missed + extra), i, f"{name}: IoU {iou:.0f} %, {missed:,} pixels missed, {extra:,} made up"))
        found[f"{source.key}/class/{label}"] = _as_list(f"{name}: most pixels wrong{of}", items)
    return {key: part for key, part in found.items() if part["items"]}


def _list_cells(source: Source, entries: Sequence[Entry], place: int, of: str) -> dict[str, dict]:
    """List the images of every cell of the confusion matrix, wrong ones with most pixels in the whole test first."""
    total = np.array(source.one.semantic["confusion"])
    names, own = [*source.one.semantic["classes"], "none of the classes"], list(_counts(source, entries, place))
    found = {}
    for cell in np.argsort(-(total - np.diag(np.diag(total))), axis=None, kind="stable").tolist():
        row, column = divmod(cell, len(total))
        title = f"{names[row]}: right" if row == column else f"{names[row]} taken for {names[column]}"
        items = [
            (-int(counts[row, column]), i, f"{title}, {int(counts[row, column]):,} pixels") for i, counts in own if counts[row, column]
        ]
        if items:
            found[f"{source.key}/cell/{row}/{column}"] = _as_list(f"{title}{of}", items)
    return found


def _list_slices(source: Source, entries: Sequence[Entry], place: int, of: str) -> dict[str, dict]:
    members: dict[tuple[str, str], list] = {}
    for i, entry in enumerate(entries):
        for part in (entry.rows[place] or {}).get("slices", ()):
            note = f"{part['attribute']}: {part['value']}, mIoU there {part['mIoU']:.1f} %"
            members.setdefault((part["attribute"], part["value"]), []).append((part["mIoU"], i, note))
    return {
        f"{source.key}/slice/{attribute}/{value}": _as_list(f"{attribute}: {value}, lowest mIoU{of}", items)
        for (attribute, value), items in members.items()
    }


def _counts(source: Source, entries: Sequence[Entry], place: int) -> list[tuple[int, np.ndarray]]:
    known = [(i, entry.numbers[place]) for i, entry in enumerate(entries)]
    return [(i, source.scored(number)) for i, number in known if number is not None]


def _as_list(title: str, items: Items, *, longest: int = LONGEST) -> dict:
    return {"title": title, "items": [[i, note] for _, i, note in sorted(items)[:longest]]}
