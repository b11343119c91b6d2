"""Where each data set keeps its images and labels: folder schemes, and how one is recognised."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from mmstreet.datasets.folders import describe_folder
from mmstreet.datasets.vistas import read_vistas_table
from mmstreet.files.split_names import SPLITS
from mmstreet.label_table import check_keys
from mmstreet.labels import LabelTable, get_table

_MAX_TEXT = 200
"""Longest part of a path that file systems take, with room for a name."""
JPEG_ADVICE = "a JPEG changes ids; label maps have to be PNG files"


@dataclass(frozen=True)
class Layout:
    """One folder scheme.

    Attributes:
        name: Its name in a config.
        image_dir: Folder of the images below the data root. ``{split}`` in it is where the split's folder name goes; without it, each
            split is a folder inside. A part that is ``*`` stands for any folder, whose name becomes the first part of a name.
        label_dir: The same for the labels. A label has the same path there as its image, with the label's suffix.
        image_suffix: Ending of image files, or several; upper case and, for ``.jpg``, ``.jpeg`` count as the same.
        label_suffix: Ending of label files, which are PNG.
        table: Name of the class table of the ids on disk, or the data set's own JSON file that has it.
        unlisted: What an id outside that table is: an ``'error'``, or one to ``'ignore'``.
        palette: What the pixels of a palette image are: ``'color'`` or ``'index'``.
        folders: Name of a split's folder where it is not the split's own.
        flat: Whether images may lie in ``image_dir`` itself, which is then the split ``'.'``.
        void: Ids and RGB colours on disk that mean "not labelled", beside 255 and black; for a table of one's own.
    """

    name: str
    image_dir: str
    label_dir: str
    image_suffix: str | tuple[str, ...]
    label_suffix: str
    table: str = ""
    unlisted: str = "error"
    palette: str = "color"
    folders: Mapping[str, str] = field(default_factory=dict)
    flat: bool = False
    void: tuple[int | tuple[int, int, int], ...] = ()

    @property
    def image_suffixes(self) -> tuple[str, ...]:
        """The endings of image files."""
        return (self.image_suffix,) if isinstance(self.image_suffix, str) else tuple(self.image_suffix)

    def image_folder(self, root: str | Path, split: str) -> Path:
        """Return the folder of a split's images; below a ``*``, the folder that holds what it stands for."""
        return Path(root, _fixed(self._place(self.image_dir, split)))

    def label_folder(self, root: str | Path, split: str) -> Path:
        """Return the folder of a split's labels; below a ``*``, the folder that holds what it stands for."""
        return Path(root, _fixed(self._place(self.label_dir, split)))

    def expected(self, root: str | Path, split: str, name: str) -> tuple[Path, Path]:
        """Return where image and label of a name should be."""
        places = []
        for pattern, suffix in ((self.image_dir, self.image_suffixes[0]), (self.label_dir, self.label_suffix)):
            place, rest = self._place(pattern, split), name
            if "*" in place:
                star, _, rest = name.partition("/")
                place = place.replace("*", star)
            places.append(Path(root, place) / (rest + suffix))
        return places[0], places[1]

    def images(self, root: str | Path, split: str) -> dict[str, str]:
        """Find the images of a split: path by name without suffix, sorted.

        Raises:
            ValueError: If two files differ in their ending only.
        """
        found = self._scan(root, self.image_dir, split, self.image_suffixes)
        if self._place(self.image_dir, split) == self._place(self.label_dir, split):
            found = {name: path for name, path in found.items() if not _ending(self.label_suffix).search(path)}
        return found

    def labels(self, root: str | Path, split: str) -> dict[str, str]:
        """Find the labels of a split: path by name without suffix, sorted."""
        return self._scan(root, self.label_dir, split, (self.label_suffix,))

    def image_folders(self, root: str | Path, split: str) -> list[Path]:
        """Return the folders of a split's images that are there: one, or one for each that ``*`` stands for."""
        return list(self._folders(root, self.image_dir, split).values())

    def label_folders(self, root: str | Path, split: str) -> list[Path]:
        """Return the folders of a split's labels that are there."""
        return list(self._folders(root, self.label_dir, split).values())

    def has_labels(self, root: str | Path, split: str) -> bool:
        """Tell whether a split has any label."""
        return any(next(_walk(folder, (self.label_suffix,)), None) for folder in self.label_folders(root, split))

    def splits(self, root: str | Path) -> list[str]:
        """List the splits that have a folder of images or labels, sorted."""
        if self.flat and any(entry.is_file() for entry in _entries(Path(root, self.image_dir))):
            return ["."]
        names = {folder: split for split, folder in self.folders.items()}
        found = set()
        for pattern in (self.image_dir, self.label_dir):
            before, _, after = (pattern if "{split}" in pattern else f"{pattern}/{{split}}").partition("{split}")
            stem, (ending, *_) = before.split("/")[-1], after.split("/")
            bases = sorted(Path(root).glob("/".join(before.split("/")[:-1]))) if "*" in before else [Path(root, *before.split("/")[:-1])]
            for entry in (entry for base in bases for entry in _entries(base)):
                folder = entry.name[len(stem) : len(entry.name) - len(ending)]
                if entry.is_dir() and not entry.name.startswith(".") and entry.name == f"{stem}{folder}{ending}":
                    split = names.get(folder, folder)
                    sides = tuple(bool(self._folders(root, place, split)) for place in (self.image_dir, self.label_dir))
                    if all(sides) or (any(sides) and (split in SPLITS or "{split}" not in pattern)):
                        found.add(split)
        return sorted(found)

    def read_table(self, root: str | Path) -> LabelTable:
        """Return the class table of the ids on disk.

        Raises:
            FileNotFoundError: If it lies in a file of the data set, and that does not exist.
        """
        return read_vistas_table(Path(root, self.table)) if self.table.endswith(".json") else get_table(self.table)

    def _scan(self, root: str | Path, pattern: str, split: str, suffixes: tuple[str, ...]) -> dict[str, str]:
        found = {
            star + name: path
            for star, folder in self._folders(root, pattern, split).items()
            for name, path in scan(folder, suffixes).items()
        }
        return dict(sorted(found.items()))

    def _folders(self, root: str | Path, pattern: str, split: str) -> dict[str, Path]:
        """Return the folders of a split that are there, by what goes before the names inside: nothing, or what ``*`` stands for."""
        place = self._place(pattern, split)
        if "*" not in place:
            return {"": Path(root, place)} if Path(root, place).is_dir() else {}
        depth = place.split("/").index("*")
        folders = (folder for folder in sorted(Path(root).glob(place)) if folder.is_dir())
        return {f"{folder.relative_to(root).parts[depth]}/": folder for folder in folders}

    def _place(self, pattern: str, split: str) -> str:
        folder = self.folders.get(split, split)
        return os.path.normpath(pattern.replace("{split}", folder) if "{split}" in pattern else f"{pattern}/{folder}")


def _fixed(place: str) -> str:
    """Return the part of a place before a ``*``."""
    return place.partition("*")[0].rstrip("/") or "."


_VISTAS = dict(folders={"train": "training", "val": "validation", "test": "testing"}, palette="index")
LAYOUTS = {
    layout.name: layout
    for layout in (
        Layout("bdd100k_10k", "images/10k", "labels/sem_seg/masks", ".jpg", ".png", "bdd100k_sem19"),
        Layout("bdd100k_2018", "seg/images", "seg/labels", ".jpg", "_train_id.png", "bdd100k_sem19"),
        Layout("cityscapes", "leftImg8bit", "gtFine", "_leftImg8bit.png", "_gtFine_labelIds.png", "cityscapes19", "ignore"),
        Layout("cityscapes_train_ids", "leftImg8bit", "gtFine", "_leftImg8bit.png", "_gtFine_labelTrainIds.png", "cityscapes19_train_ids"),
        Layout("acdc", "rgb_anon/*/{split}", "gt/*/{split}", "_rgb_anon.png", "_gt_labelIds.png", "cityscapes19", "ignore"),
        Layout("acdc_train_ids", "rgb_anon/*/{split}", "gt/*/{split}", "_rgb_anon.png", "_gt_labelTrainIds.png", "cityscapes19_train_ids"),
        Layout("idd", "leftImg8bit", "gtFine", ("_leftImg8bit.png", "_leftImg8bit.jpg"), "_gtFine_labellevel3Ids.png", "idd26"),
        Layout("vistas_v1.2", "{split}/images", "{split}/v1.2/labels", ".jpg", ".png", "config_v1.2.json", **_VISTAS),
        Layout("vistas_v2.0", "{split}/images", "{split}/v2.0/labels", ".jpg", ".png", "config_v2.0.json", **_VISTAS),
        Layout("camvid_segnet", "{split}", "{split}annot", ".png", ".png", "camvid11"),
        Layout("camvid11", "images", "labels", (".jpg", ".png"), ".png", "camvid11"),
        Layout("wilddash2", "images", "labels", ".jpg", ".png", "wilddash25", "ignore", flat=True),
    )
}
"""Known layouts, in the order in which a data root is tried against them. A folder ``images`` with splits inside is taken for CamVid's,
one without for WildDash 2's; to read another set from such folders, name its layout or its class."""


def layout_from_config(settings: Mapping, *, name: str = "the layout of the config") -> Layout:
    """Build a layout from a dict of a config, with the attributes of :class:`Layout` as keys.

    Raises:
        ValueError: If a key is unknown or missing, or a value cannot be.
    """
    needed = ("image_dir", "label_dir", "image_suffix", "label_suffix")
    check_keys(settings, (*needed, "unlisted", "palette", "folders", "void"), where=name, needed=needed)
    texts = {key: settings[key] for key in ("image_dir", "label_dir", "label_suffix")}
    suffixes, folders = settings["image_suffix"], settings.get("folders", {})
    suffixes = tuple(suffixes) if isinstance(suffixes, list | tuple) and suffixes else (suffixes,)
    for key, value in (*texts.items(), *(("image_suffix", suffix) for suffix in suffixes)):
        if not isinstance(value, str) or "\0" in value or len(value) > _MAX_TEXT:
            raise ValueError(f"{name}: {key} must be a text, not {str(value)[:80]!r}")
        if "suffix" in key and not re.search(r"\.\w+$", value):
            raise ValueError(f"{name}: a suffix ends in a dot and letters, as '_leftImg8bit.png' does, not {value!r}")
    if not isinstance(folders, Mapping) or not all(isinstance(x, str) and len(x) <= _MAX_TEXT for pair in folders.items() for x in pair):
        raise ValueError(f"{name}: folders must be a dict from splits to folder names, not {str(folders)[:80]}")
    layout = Layout(name, **{**settings, "image_suffix": suffixes, "folders": dict(folders), "void": _read_void(settings, name)})
    for key, allowed in (("unlisted", ("error", "ignore")), ("palette", ("color", "index"))):
        if getattr(layout, key) not in allowed:
            raise ValueError(f"{name}: {key} must be '{allowed[0]}' or '{allowed[1]}', not {getattr(layout, key)!r}")
    if not layout.label_suffix.lower().endswith(".png"):
        jpeg = re.search(r"\.jpe?g$", layout.label_suffix, re.IGNORECASE)
        raise ValueError(f"{name}: label_suffix is {layout.label_suffix!r}; {JPEG_ADVICE if jpeg else 'label maps have to be PNG files'}")
    return layout


def _read_void(settings: Mapping, name: str) -> tuple:
    values = settings.get("void", ())
    whole = isinstance(values, list | tuple) and [[x] if isinstance(x, int) else x for x in values]
    if not isinstance(whole, list) or not all(
        isinstance(x, list | tuple) and len(x) in (1, 3) and all(isinstance(v, int) and 0 <= v <= 255 for v in x) for x in whole
    ):
        raise ValueError(f"{name}: void must be a list of ids from 0 to 255 and of colours (R, G, B), not {str(values)[:80]}")
    return tuple(tuple(x) if len(x) == 3 else x[0] for x in whole)


def detect_layout(root: str | Path, names: Iterable[str] = LAYOUTS) -> Layout:
    """Find the layout whose files are below ``root``: the first that has labels there, otherwise the first that has folders of images.

    Args:
        root: Data root.
        names: Names of the layouts to try.

    Raises:
        FileNotFoundError: If none fits; the message lists what was looked for and what is there.
    """
    some = None
    for layout in map(LAYOUTS.__getitem__, names):
        splits = [split for split in layout.splits(root) if layout.image_folders(root, split)]
        if any(layout.has_labels(root, split) for split in splits):
            return layout
        some = some or (layout if splits else None)
    if some is None:
        wanted = "; ".join(f"{name}: {LAYOUTS[name].image_dir} and {LAYOUTS[name].label_dir}" for name in names)
        raise FileNotFoundError(f"'{root}' has the folders of no known layout ({wanted}); {describe_folder(root)}")
    return some


def scan(folder: str | Path, suffixes: Iterable[str]) -> dict[str, str]:
    """Find the files below a folder that have one of the suffixes: path by ``/``-separated name without suffix, sorted by name.

    Hidden files and folders do not count, among them the ``._NAME`` that macOS writes beside each file.

    Raises:
        ValueError: If two files have the same name without suffix.
    """
    found: dict[str, str] = {}
    for name, path in _walk(folder, tuple(suffixes)):
        if name in found:
            raise ValueError(f"'{found[name]}' and '{path}' have the same name but for their ending; remove one, or rename it")
        found[name] = path
    return dict(sorted(found.items()))


def strip_suffix(name: str, suffixes: Iterable[str]) -> str:
    """Return a file's name without the first of the suffixes that it has."""
    return next((name[: found.start()] for suffix in suffixes if (found := _ending(suffix).search(name))), name)


def _walk(folder: str | Path, suffixes: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    endings = [_ending(suffix) for suffix in suffixes]
    for directory, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if not name.startswith(".") and name != "__MACOSX"]
        inside = os.path.relpath(directory, folder).replace(os.sep, "/")
        prefix = "" if inside == "." else f"{inside}/"
        for name in names:
            match = None if name.startswith(".") else next((m for e in endings if (m := e.search(name))), None)
            if match:
                yield prefix + name[: match.start()], os.path.join(directory, name)


def _ending(suffix: str) -> re.Pattern:
    stem, dot, extension = suffix.rpartition(".")
    same = "jpe?g" if extension.lower() in ("jpg", "jpeg") else re.escape(extension)
    return re.compile(f"{re.escape(stem + dot)}(?i:{same})$")


def _entries(folder: Path) -> list[os.DirEntry]:
    return list(os.scandir(folder)) if folder.is_dir() else []
