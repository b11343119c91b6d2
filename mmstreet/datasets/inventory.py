"""What belongs to a data set: its image and label pairs, and what has no partner; of a data root, or of the data sets of a config."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from mmstreet.datasets.data_file import read_data_file
from mmstreet.datasets.folders import describe_missing, other_pictures, read_list
from mmstreet.datasets.layouts import Layout, detect_layout
from mmstreet.datasets.pairs import Pair, look_up, require_images, split_line
from mmstreet.files.config_files import find_config
from mmstreet.files.dataset_parts import dataset_parts
from mmstreet.files.split_names import SPLITS
from mmstreet.files.tar_members import is_address
from mmstreet.labels import IGNORE_INDEX, LabelTable, get_table


@dataclass(frozen=True)
class Orphan:
    """A file that has no partner, is not there or is not read; ``path`` is the one that is there, or is listed."""

    kind: str
    split: str
    path: str
    why: str = "add the other file, or remove this one"

    @property
    def message(self) -> str:
        """What is wrong, and what was looked for."""
        return f"{self.path}: {self.kind}; {self.why}"


@dataclass(frozen=True)
class Reading:
    """How files are read, and what becomes of their classes.

    ``palette`` and ``unlisted`` are those of :func:`mmstreet.formats.label_files.read_labels`, ``orientation`` that of
    :func:`mmstreet.files.images.read_image`. ``target`` and ``mapping`` say which classes are learned, where these are others than those of
    the files.
    """

    table: LabelTable
    palette: str = "color"
    unlisted: str = "error"
    orientation: str = "stored"
    target: LabelTable | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)

    @property
    def learned(self) -> LabelTable:
        """The classes that are learned."""
        return self.table if self.target is None else self.target

    @cached_property
    def lut(self) -> np.ndarray | None:
        """Train ids of the classes that are learned, by those of the files, uint8 ``[256]``; ``None`` where they are the same."""
        if self.target is None:
            return None
        lut = np.full(256, IGNORE_INDEX, np.uint8)
        for source, target in self.mapping.items():
            lut[self.table.index(source)] = self.target.index(target)
        return lut


@dataclass
class Inventory:
    """Pairs to read, files without a partner, and how they are read; ``images`` and ``labels`` count the files of each split."""

    source: str
    reading: Reading
    pairs: list[Pair] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)
    images: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)

    def count(self, split: str, images: int, labels: int) -> None:
        """Add to the numbers of files of a split."""
        self.images[split] = self.images.get(split, 0) + images
        self.labels[split] = self.labels.get(split, 0) + labels

    def add_listed(self, root: Path, layout: Layout, keys: list[tuple[str, str]], name: str, *, labelled: bool) -> None:
        """Add the images of a list file.

        Args:
            root: Data root.
            layout: Folder scheme below the root.
            keys: Split and name of each.
            name: The split in this inventory.
            labelled: Whether each needs a label; otherwise they do if any has one.
        """
        found = look_up(root, layout, keys, labelled=True)
        wanted = [layout.expected(root, where, stem) for where, stem in keys]
        self.add_files(name, [stem for _, stem in keys], found, wanted, labelled=labelled or any(label for _, label in found))

    def add_files(self, name: str, stems: Sequence[str], found: Sequence[tuple], wanted: Sequence[tuple], *, labelled: bool) -> None:
        """Add images and labels of a split by their paths.

        Args:
            name: The split.
            stems: Names of the images.
            found: Paths of image and label, ``None`` where there is no file.
            wanted: Where they should be; no label is wanted where that is ``None``.
            labelled: Whether an image needs its label.
        """
        listings: dict = {}
        for stem, (image, label), (image_place, label_place) in zip(stems, found, wanted):
            if image is None:
                why = _looked_for(image_place, stem, listings)
                self.orphans.append(Orphan("listed image does not exist", name, str(image_place), why))
            elif label is None and labelled and label_place is not None:
                self.orphans.append(Orphan("image without label", name, image, _looked_for(label_place, stem, listings)))
            else:
                self.pairs.append(Pair(name, image, label, stem))
        self.count(name, sum(image is not None for image, _ in found), sum(label is not None for _, label in found))

    def add_split(self, root: Path, layout: Layout, split: str, name: str, *, labelled: bool | None = None) -> None:
        """Match all images and labels of one split.

        Args:
            root: Data root.
            layout: Folder scheme below the root.
            split: The split.
            name: Its name in this inventory.
            labelled: Whether each image needs a label; None: unless the split is called ``'test'``. Where one has a label, all need one.
        """
        images, labels, listings = layout.images(root, split), layout.labels(root, split), {}
        read = {*images.values(), *labels.values()}
        others = [path for folder in layout.image_folders(root, split) for path in other_pictures(folder, read)]
        if not (images or labels or others):
            return
        self.count(name, len(images), len(labels))
        labelled = bool(labels) or (split != "test" if labelled is None else labelled)
        for stem, path in images.items():
            if stem in labels or not labelled:
                self.pairs.append(Pair(name, path, labels.get(stem), stem))
            else:
                wanted = layout.expected(root, split, stem)[1]
                self.orphans.append(Orphan("image without label", name, path, _looked_for(wanted, stem, listings)))
        for stem in labels.keys() - images.keys():
            wanted = layout.expected(root, split, stem)[0]
            self.orphans.append(Orphan("label without image", name, labels[stem], _looked_for(wanted, stem, listings)))
        why = f"images of this layout end in {' or '.join(layout.image_suffixes)}; save it in that form, or remove it"
        if layout.image_folder(root, split) != layout.label_folder(root, split):
            self.orphans += [Orphan("picture that is not read", name, path, why) for path in others]


def inventory_of_root(root: str | Path, *, layout: Layout | None = None) -> Inventory:
    """List every split below a data root.

    Args:
        root: Data root.
        layout: Folder scheme; None recognises it.

    Raises:
        FileNotFoundError: If the layout is not recognised or there is no image.
    """
    root = Path(root)
    layout = layout or detect_layout(root)
    inventory = Inventory(str(root), Reading(layout.read_table(root), layout.palette, layout.unlisted))
    splits = layout.splits(root)
    for split in splits:
        inventory.add_split(root, layout, split, split)
    if not any(inventory.images.values()):
        require_images(root, layout, splits[0] if splits else "train")
    return inventory


def inventory_of_config(path: str | Path) -> Inventory:
    """List the data that a config trains, validates and tests on, each data set once.

    Data sets of this package are listed by their layout or list file; another one is asked for its files, and needs
    ``mmstreet.LoadLabels(table=...)`` or ``mmstreet.RemapLabels`` in its pipeline to say what its ids mean.

    Args:
        path: Config file, or the name of a config that comes with the package.

    Raises:
        FileNotFoundError: If a data set has no image or its list file does not exist.
        ValueError: If no data set is found, if a data set does not say its class table, or if two differ in it.
    """
    from mmengine.config import Config
    from mmengine.registry import DATASETS, init_default_scope

    cfg = Config.fromfile(find_config(path))
    init_default_scope(cfg.get("default_scope", "mmseg"))
    inventory, seen = None, []
    for split in SPLITS:
        for leaf in dataset_parts((cfg.get(f"{split}_dataloader") or {}).get("dataset")):
            dataset = DATASETS.build({**leaf, "lazy_init": True})
            files = (str(dataset.data_root), str(dataset.data_prefix), dataset.ann_file, getattr(dataset, "split", None))
            if files in seen:
                continue
            seen.append(files)
            reading = _reading(dataset)
            if inventory is None:
                inventory = Inventory(str(path), reading)
            elif reading != inventory.reading:
                raise ValueError(f"the data sets of {path} are read in different ways; check each data root by itself instead")
            _add_dataset(inventory, dataset, split)
    if inventory is None:
        raise ValueError(f"{path} has no train_dataloader, val_dataloader or test_dataloader with a dataset; give a config that trains")
    return inventory


def inventories_of_data(path: str | Path) -> list[Inventory]:
    """List the data that a ``data.yaml`` describes, one inventory for each of its data sets, whose name begins the splits of several.

    Raises:
        FileNotFoundError: If there is no image.
        ValueError: If the file is wrong.
    """
    data = read_data_file(path)
    inventories = []
    for part in data.parts:
        target = None if part.mapping is None else data.table
        reading = Reading(part.table, part.layout.palette, part.layout.unlisted, target=target, mapping=part.mapping or {})
        inventory = Inventory(str(path), reading)
        for split in part.splits:
            name = split if len(data.parts) == 1 else f"{part.name}/{split}"
            folder, lines = part.place(split)
            if lines is not None:
                keys = [split_line(line, part.layout, folder) for line in lines]
                inventory.add_listed(part.root, part.layout, keys, name, labelled=True)
            else:
                require_images(part.root, part.layout, folder)
                inventory.add_split(part.root, part.layout, folder, name, labelled=split != "test")
        inventories.append(inventory)
    return inventories


def _add_dataset(inventory: Inventory, dataset: Any, name: str) -> None:
    layout, root = getattr(dataset, "layout", None), Path(dataset.data_root or "")
    if getattr(dataset, "image_labels", None) or getattr(dataset, "packed", False):  # its labels do not lie where the layout's do
        layout = None
    if isinstance(layout, Layout) and not dataset.ann_file:
        require_images(root, layout, dataset.split)
        inventory.add_split(root, layout, dataset.split, name)
        return
    if isinstance(layout, Layout):
        keys = [split_line(line, layout, dataset.split) for line in read_list(dataset.ann_file)]
        inventory.add_listed(root, layout, keys, name, labelled=dataset.split != "test")
        return
    dataset.full_init()
    infos = [dataset.get_data_info(i) for i in range(len(dataset))]
    wanted = [(info["img_path"], info.get("seg_map_path")) for info in infos]
    found = [tuple(path if path and (is_address(path) or Path(path).is_file()) else None for path in pair) for pair in wanted]
    stems = [Path(image).stem for image, _ in wanted]
    inventory.add_files(name, stems, found, wanted, labelled=any(label for _, label in wanted))


def _looked_for(wanted: str | Path, stem: str, listings: dict) -> str:
    return f"looked for '{wanted}': {describe_missing(wanted, stem, listings=listings)}"


def _reading(dataset: Any) -> Reading:
    """How the label files of a data set are to be read: as its ``LoadLabels`` step says, otherwise as the data set does."""
    layout = getattr(dataset, "layout", None)
    reading = dict(table=None, palette="color", unlisted="error", orientation="stored")
    if isinstance(layout, Layout):
        reading |= dict(table=dataset.files_table, palette=layout.palette, unlisted=layout.unlisted)
    for step in dataset.pipeline.transforms:
        if type(step).__name__ in ("LoadImage", "LoadImageFromFile"):
            reading["orientation"] = _orientation(step)
        given = {key: getattr(step, key, None) for key in ("palette", "unlisted")} if type(step).__name__ == "LoadLabels" else {}
        table = getattr(step, "label_table", None) if given else getattr(step, "source", None) if reading["table"] is None else None
        given["table"] = None if table is None else get_table(table)
        reading |= {key: value for key, value in given.items() if value is not None}
    if reading["table"] is None:
        raise ValueError(
            f"{type(dataset).__name__} does not say which class table its label files follow; "
            "load them with dict(type='mmstreet.LoadLabels', table=...)"
        )
    return Reading(**reading)


def _orientation(step: Any) -> str:
    """How a loading step treats orientation tags; MMSegmentation's follows them for the colour types that do not say otherwise."""
    follows = "exif" if getattr(step, "color_type", "") in ("color", "grayscale") else "stored"
    return getattr(step, "orientation", follows)
