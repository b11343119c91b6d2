"""Look at a data set's folder and describe it: the content of a ``data.yaml``, with what is doubtful about it."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mmstreet.datasets.class_rows import guess_classes, rows_of_table
from mmstreet.datasets.label_survey import LabelSurvey, survey_labels
from mmstreet.datasets.layouts import JPEG_ADVICE, Layout
from mmstreet.datasets.recognise import Recognised
from mmstreet.datasets.survey_splits import find_splits
from mmstreet.files.images import ImageFileError, probe_image

_LOOK = 40
"""Images whose headers are read for their size."""
_SHOWN = 3


@dataclass
class Survey:
    """A description as plain data, the content of its list files by name, and what is doubtful."""

    content: dict[str, Any]
    lists: dict[str, list[str]] = field(default_factory=dict)
    suspicions: list[str] = field(default_factory=list)


def survey(
    root: str | Path, seen: Recognised, *, out: Path, name: str | None = None, workers: int | None = None, sample: int | None = None
) -> Survey:
    """Read the label files of a data set and describe it.

    Args:
        root: Its folder.
        seen: What it is recognised as.
        out: The ``data.yaml`` that will hold the description; paths are relative to its folder.
        name: What to call the data; default: the folder's name.
        workers: Processes; ``None`` takes one per core.
        sample: Read only about so many label files of each split; ``None`` reads all.

    Raises:
        ValueError: If no label file can be read.
    """
    root = Path(root)
    layout, doubts = seen.layout, []
    groups, lists = find_splits(root, layout, out, doubts, given=seen.lists)
    found, counts = {}, {}
    for split, pairs in groups.items():
        labels = [label for _, image, label in pairs if image and label]
        some = labels if sample is None else labels[:: max(1, len(labels) // max(1, sample))]
        found[split] = survey_labels(some, workers=workers, desc=split)
        counts[split] = {"images": sum(image is not None for _, image, _ in pairs), "labels": len(labels)}
        if len(some) < len(labels):
            counts[split]["read"] = len(some)
        _doubt_pairs(split, pairs, layout, found[split], doubts)
    total = LabelSurvey()
    for part in found.values():
        total.add(part)
    if not total.files:
        problem = next(iter(total.problems.values()), "there is none with an image")
        raise ValueError(f"no label file below '{root}' can be read: {problem}")
    if seen.table is not None:
        rows, palette, void = rows_of_table(seen.table), layout.palette, list(seen.table.void_ids)
    elif seen.drawn:
        rows, palette, void = list(seen.listed or ()), layout.palette, []
    else:
        source = "" if seen.list_path is None else f"'{seen.list_path.name}'"
        guess = guess_classes(total, seen.listed, source=source, hint=f"{layout.label_dir}/{layout.label_suffix}")
        rows, palette, void = guess.rows, guess.palette, guess.void
        doubts += guess.suspicions
    pixels = _add_shares(rows, found.get("train") or total, palette, doubts)
    for split, part in found.items():
        by_class, everything = _pixels_of(rows, part, palette), sum(_pixels(part, palette).values())
        if everything:
            counts[split]["void_percent"] = round(100 * (1 - sum(by_class.values()) / everything), 2)
    if "train" in counts and "read" not in counts["train"]:
        counts["train"]["pixels"] = pixels
    image_hw = _usual_size([image for pairs in groups.values() for _, image, _ in pairs if image], doubts)
    settings: dict[str, Any] = {
        "image_dir": layout.image_dir,
        "label_dir": layout.label_dir,
        "image_suffix": list(layout.image_suffixes) if len(layout.image_suffixes) > 1 else layout.image_suffixes[0],
        "label_suffix": layout.label_suffix,
        "palette": palette,
        "unlisted": layout.unlisted,
        **({"folders": dict(layout.folders)} if layout.folders else {}),
        **({"void": [list(x) if isinstance(x, tuple) else x for x in void]} if void else {}),
    }
    content = {
        "name": name or _name_of(root),
        "kind": seen.title,
        "root": os.path.relpath(root, out.parent),
        "layout": settings,
        "splits": {split: lists[split][0] if split in lists else _folder_of(layout, root, split) for split in groups},
        "image_hw": None if image_hw is None else list(image_hw),
        "classes": rows,
        "remap": seen.remap,
        "counts": counts,
    }
    return Survey(content, {path: names for path, names in lists.values() if names}, doubts)


def _doubt_pairs(split: str, pairs: list, layout: Layout, found: LabelSurvey, doubts: list[str]) -> None:
    alone = [image for _, image, label in pairs if image and not label]
    if alone and (split != "test" or len(alone) < len(pairs)):
        jpeg = f"; {JPEG_ADVICE}" if layout.label_suffix.lower().endswith(("jpg", "jpeg")) else ""
        doubts.append(f"{split}: {len(alone)} images have no label, first '{alone[0]}'{jpeg}")
    lost = [label for _, image, label in pairs if label and not image]
    if lost:
        doubts.append(f"{split}: {len(lost)} labels have no image, first '{lost[0]}'")
    if found.problems:
        doubts.append(f"{split}: {len(found.problems)} label files cannot be read: " + "; ".join(list(found.problems.values())[:_SHOWN]))


def _pixels(found: LabelSurvey, palette: str) -> Counter:
    """Pixels by id, or by colour where colours tell the classes."""
    by_color = found.kinds["rgb"] or (found.kinds["palette"] and palette == "color")
    return found.colors if by_color else found.ids


def _pixels_of(rows: list[dict], found: LabelSurvey, palette: str) -> dict[str, int]:
    """Pixels of each class by its name."""
    pixels = _pixels(found, palette)
    return {row["name"]: pixels[tuple(row.get("color", ())) if pixels is found.colors else row["id"]] for row in rows}


def _add_shares(rows: list[dict], found: LabelSurvey, palette: str, doubts: list[str]) -> dict[str, int]:
    """Add each class's share of the pixels to its row; return the pixels."""
    pixels = _pixels_of(rows, found, palette)
    for row in rows:
        row["share"] = float(f"{100 * pixels[row['name']] / max(1, sum(pixels.values())):.4g}")
    absent = [name for name, count in pixels.items() if not count]
    if absent and len(absent) < len(rows):
        doubts.append(f"no training pixel is of {', '.join(absent)}: delete what cannot be learned, the rows after it keep their ids")
    return pixels


def _usual_size(images: list[str], doubts: list[str]) -> tuple[int, int] | None:
    sizes: Counter = Counter()
    turned = 0
    for path in images[:: max(1, len(images) // _LOOK)]:
        try:
            probe = probe_image(path)
        except (ImageFileError, OSError):
            doubts.append(f"image '{path}' cannot be read")
            continue
        sizes[probe.height, probe.width] += 1
        turned += probe.orientation != 1
    if turned:
        doubts.append(
            f"{turned} of {sizes.total()} images looked at have an orientation tag, which is not followed: 'mmstreet verify' names them"
        )
    if len(sizes) > 1:
        doubts.append(f"images are of {len(sizes)} sizes: {', '.join(f'{n} of {w}x{h}' for (h, w), n in sizes.most_common(_SHOWN))}")
    return sizes.most_common(1)[0][0] if sizes else None


def _folder_of(layout: Layout, root: Path, split: str) -> str:
    return split if split in layout.splits(root) else "."


def _name_of(root: Path) -> str:
    return root.resolve().name.lstrip(".") or "data"
