"""``data.yaml``: a data set, or several as one, described in one file that ``mmstreet init`` writes and every command reads."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from mmstreet.datasets.folders import read_list
from mmstreet.datasets.layouts import LAYOUTS, Layout, layout_from_config
from mmstreet.datasets.pairs import Pair, list_pairs
from mmstreet.datasets.remap_names import check_mapping
from mmstreet.files.split_names import SPLITS
from mmstreet.files.text import read_text
from mmstreet.label_table import check_keys
from mmstreet.labels import LabelTable, get_table

SUFFIXES = (".yaml", ".yml")
_KEYS = ("name", "kind", "root", "layout", "splits", "classes", "remap", "sets", "image_hw", "counts", "suspicions")
_SET_KEYS = ("data", "remap", "rest", "repeat", "splits")


@dataclass(frozen=True)
class DataPart:
    """One data set of a file: where it is and what becomes of its classes.

    Attributes:
        name: Its name.
        root: Its folder.
        layout: Where images and labels lie, and how label files are read.
        layout_settings: The same as a config says it: the name of a known layout, or a dict.
        splits: Folder name or list file, by ``train``, ``val`` and ``test``.
        table: Classes of the label files.
        mapping: Their names to those of the common table; ``None`` where both are the same.
        repeat: How often a training epoch goes through it.
        pixels: Training pixels of each class of ``table``, by name; empty if they are not known.
    """

    name: str
    root: Path
    layout: Layout
    layout_settings: str | dict
    splits: Mapping[str, str]
    table: LabelTable
    mapping: Mapping[str, str] | None = None
    repeat: int = 1
    pixels: Mapping[str, int] = field(default_factory=dict)

    def place(self, split: str) -> tuple[str, list[str] | None]:
        """Return the folder of a split and, if there is one, the lines of its list file."""
        place = self.splits[split]
        if not place.endswith(".txt"):
            return place, None
        return (split if self.layout.image_folders(self.root, split) else "."), read_list(place)

    def pairs(self, split: str, *, labelled: bool | None = None) -> list[Pair]:
        """Return the images of a split with their labels; see :func:`mmstreet.datasets.pairs.list_pairs`."""
        folder, names = self.place(split)
        return list_pairs(self.root, self.layout, folder, names, labelled=labelled)


@dataclass(frozen=True)
class DataFile:
    """What a ``data.yaml`` says.

    Attributes:
        path: The file.
        name: Name of the data, for folders of results.
        table: The classes that are learned; shares of the pixels are those of the training images, where they are known.
        parts: The data sets.
        image_hw: Height and width of most images, or ``None``.
    """

    path: Path
    name: str
    table: LabelTable
    parts: tuple[DataPart, ...] = field(default_factory=tuple)
    image_hw: tuple[int, int] | None = None

    @property
    def splits(self) -> list[str]:
        """The splits that a part has."""
        return [split for split in SPLITS if any(split in part.splits for part in self.parts)]


def is_data_file(path: object) -> bool:
    """Tell whether an argument names a ``data.yaml``: a YAML file that describes data and no model."""
    if not isinstance(path, str | Path) or Path(path).suffix.lower() not in SUFFIXES or not Path(path).is_file():
        return False
    lines = Path(path).read_bytes()[:1_000_000].splitlines()
    starts = {line.split(b":")[0] for line in lines if line[:1].isalpha()}
    return b"model" not in starts and (b"sets" in starts or {b"layout", b"splits"} <= starts)


def read_data_file(path: str | Path) -> DataFile:
    """Read a ``data.yaml``.

    Raises:
        FileNotFoundError: If the file, a file that it names, or the folder of the data does not exist.
        ValueError: If it is no YAML, a key is unknown or missing, or a value cannot be; the message names the file and the nearest key or
            class.
    """
    return _read(Path(path), ())


def _read(path: Path, above: tuple[Path, ...]) -> DataFile:
    import yaml

    if path.resolve() in above:
        raise ValueError(f"'{path}' names itself among its sets; name other files")
    if not path.is_file():
        raise FileNotFoundError(f"data file '{path}' does not exist; 'mmstreet init FOLDER' writes one")
    try:
        content = yaml.safe_load(read_text(path))
    except (yaml.YAMLError, RecursionError) as error:
        raise ValueError(f"'{path}' is no YAML that can be read: {' '.join(str(error).split())}") from error
    where = f"'{path}'"
    check_keys(content, _KEYS, where=where)
    name = content.get("name", path.parent.resolve().name)
    if not isinstance(name, str) or not name or "/" in name or name.startswith("."):
        raise ValueError(f"{where}: name must be a text that can be part of a folder's name, not {name!r}")
    image_hw = _read_size(content.get("image_hw"), where)
    if "sets" in content:
        return _read_sets(path, content, name, image_hw, above)
    check_keys(content, _KEYS, where=where, needed=("root", "layout", "splits", "classes"))
    table = _read_table(content["classes"], f"classes of {where}")
    root = Path(os.path.normpath(path.parent / str(content["root"])))
    if not root.is_dir():
        raise FileNotFoundError(f"{where}: root '{root}' is no folder; say where the data set is, relative to this file or absolute")
    settings = content["layout"]
    if isinstance(settings, str):
        if settings not in LAYOUTS:
            check_keys({settings: None}, tuple(LAYOUTS), where=f"{where}, layout")
        layout = LAYOUTS[settings]
    else:
        layout = layout_from_config(settings, name=f"layout of {where}")
    table = table.with_void(layout.void) if layout.void else table
    target, mapping = _read_remap(content.get("remap"), table, where)
    splits, pixels = _read_splits(content["splits"], where, (path.parent, root)), _read_pixels(content.get("counts"))
    part = DataPart(name, root, layout, settings, splits, table, mapping, pixels=pixels)
    return DataFile(path, name, _with_shares(target, [part]), (part,), image_hw)


def _read_sets(path: Path, content: dict, name: str, image_hw: tuple[int, int] | None, above: tuple[Path, ...]) -> DataFile:
    where = f"'{path}'"
    check_keys(
        content,
        ("name", "kind", "sets", "classes", "image_hw", "counts", "suspicions"),
        where=f"{where}, which has sets",
        needed=("sets", "classes"),
    )
    table = _read_table(content["classes"], f"classes of {where}")
    if not isinstance(content["sets"], list) or not content["sets"]:
        raise ValueError(f"{where}: sets must be a list such as [{{data: bdd.yaml}}, {{data: camvid.yaml, remap: {{tree: vegetation}}}}]")
    parts: list[DataPart] = []
    for i, entry in enumerate(content["sets"]):
        here = f"{where}, set {i + 1}"
        check_keys(entry, _SET_KEYS, where=here, needed=("data",))
        inner = _read(Path(os.path.normpath(path.parent / str(entry["data"]))), (*above, path.resolve()))
        image_hw = image_hw or inner.image_hw
        mapping = check_mapping(entry.get("remap"), inner.table, table, where=here, rest=entry.get("rest"))
        repeat, splits = entry.get("repeat", 1), entry.get("splits", list(SPLITS))
        if not isinstance(repeat, int) or isinstance(repeat, bool) or not 1 <= repeat <= 1000:
            raise ValueError(f"{here}: repeat must be a whole number from 1 on, not {repeat!r}")
        if not isinstance(splits, list) or not set(splits) <= set(SPLITS):
            raise ValueError(f"{here}: splits must be some of {', '.join(SPLITS)}, not {splits!r}")
        for part in inner.parts:
            before = part.mapping or {known: known for known in part.table.names}
            joined = {source: mapping[middle] for source, middle in before.items() if middle in mapping}
            kept = {split: place for split, place in part.splits.items() if split in splits}
            parts.append(replace(part, splits=kept, mapping=joined, repeat=part.repeat * repeat))
    return DataFile(path, name, _with_shares(table, parts), tuple(parts), image_hw)


def _with_shares(table: LabelTable, parts: Sequence[DataPart]) -> LabelTable:
    """Return the table with each class's share of the training pixels of all parts; as it is where a part has not counted its pixels."""
    trained = [part for part in parts if "train" in part.splits]
    if not trained or not all(set(part.table.names) <= part.pixels.keys() for part in trained):
        return table
    pixels = dict.fromkeys(table.names, 0)
    for part in trained:
        for source in part.table.names:
            target = source if part.mapping is None else part.mapping.get(source)
            if target is not None:
                pixels[target] += part.repeat * part.pixels[source]
    total = sum(pixels.values())
    if not total:
        return table
    return replace(table, labels=tuple(replace(label, share=100 * pixels[label.name] / total) for label in table.labels), is_own=True)


def _read_pixels(counts: Any) -> dict[str, int]:
    """Return the pixel counts that ``init`` has left; a person may have changed or taken out this part of the file."""
    train = counts.get("train") if isinstance(counts, Mapping) else None
    pixels = train.get("pixels") if isinstance(train, Mapping) else None
    found = pixels if isinstance(pixels, Mapping) else {}
    return {str(name): count for name, count in found.items() if isinstance(count, int) and count >= 0}


def _read_remap(remap: Any, table: LabelTable, where: str) -> tuple[LabelTable, Mapping[str, str] | None]:
    if remap is None:
        return table, None
    check_keys(remap, ("to", "classes", "rest"), where=f"{where}, remap", needed=("to",))
    target = _read_table(remap["to"], f"remap.to of {where}")
    return target, check_mapping(remap.get("classes"), table, target, where=f"{where}, remap", rest=remap.get("rest"))


def _read_table(value: Any, name: str) -> LabelTable:
    if not isinstance(value, str | list):
        raise ValueError(f"{name}: expected rows such as {{name: road, id: 7}}, or the name of a known table, not {value!r:.80}")
    if isinstance(value, list):
        value = [{"name": row} if isinstance(row, str) else row for row in value]
    try:
        return get_table(value, name=name) if isinstance(value, list) else get_table(value)
    except KeyError as error:
        raise ValueError(f"{name}: {error.args[0]}") from None


def _read_splits(splits: Any, where: str, folders: Sequence[Path]) -> dict[str, str]:
    check_keys(splits, SPLITS, where=f"{where}, splits")
    found = {}
    for split, place in splits.items():
        if place is None:
            continue
        if not isinstance(place, str) or not place:
            raise ValueError(f"{where}, splits: {split} must be a split's folder, '.', or a list file ending in .txt, not {place!r}")
        if place.endswith(".txt"):
            paths = [Path(os.path.normpath(folder / place)) for folder in folders]
            path = next((path for path in paths if path.is_file()), None)
            if path is None:
                raise FileNotFoundError(
                    f"{where}, splits: list file '{paths[0]}' does not exist; write one image name per line, or name a folder"
                )
            place = os.path.abspath(path)
        found[split] = place
    if not found:
        raise ValueError(f"{where}: splits must name train, val or test")
    return found


def _read_size(size: Any, where: str) -> tuple[int, int] | None:
    if size is None:
        return None
    if not isinstance(size, list) or len(size) != 2 or not all(isinstance(x, int) and x > 0 for x in size):
        raise ValueError(f"{where}: image_hw must be [height, width] in pixels, not {size!r}")
    return size[0], size[1]
