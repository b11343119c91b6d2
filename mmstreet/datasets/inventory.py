"""What belongs to a data set: its image and label pairs, and what has no partner."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from mmstreet.datasets.layouts import Layout, Pair, detect_layout, list_files, no_images_message


@dataclass(frozen=True)
class Orphan:
    """A file without its partner, e.g. ``kind='image without label'``; ``path`` is the one that is there, or is listed."""

    kind: str
    split: str
    path: str

    @property
    def message(self) -> str:
        """What is missing, and what to do."""
        return f"{self.path}: {self.kind}; add the other file, or remove this one"


@dataclass
class Inventory:
    """Pairs to read, files without a partner, and how the label files are to be read.

    ``images`` and ``labels`` count the files of each split; ``table``, ``palette`` and ``unlisted`` are those of
    :func:`mmstreet.datasets.label_files.read_labels`.
    """

    source: str
    table: str
    palette: str = "color"
    unlisted: str = "error"
    pairs: list[Pair] = field(default_factory=list)
    orphans: list[Orphan] = field(default_factory=list)
    images: dict[str, int] = field(default_factory=dict)
    labels: dict[str, int] = field(default_factory=dict)

    def add(self, split: str, image_of: dict[str, str], label_of: dict[str, str], *, labelled: bool) -> None:
        """Match the images and labels of one split by name.

        Args:
            split: Name of the split.
            image_of: Image path by name.
            label_of: Label path by name.
            labelled: Whether an image without a label is an orphan; a published test split has none.
        """
        self.images[split] = self.images.get(split, 0) + len(image_of)
        self.labels[split] = self.labels.get(split, 0) + len(label_of)
        self.pairs += [Pair(split, path, label_of.get(name)) for name, path in image_of.items() if name in label_of or not labelled]
        if labelled:
            self.orphans += [Orphan("image without label", split, path) for name, path in image_of.items() if name not in label_of]
        self.orphans += [Orphan("label without image", split, path) for name, path in label_of.items() if name not in image_of]

    def add_folder(self, root: Path, layout: Layout, split: str, name: str) -> None:
        """Match the files of one folder per side.

        Args:
            root: Data root.
            layout: Folder scheme below the root.
            split: Folder name.
            name: Name of the split in this inventory.
        """
        sides = (root / layout.image_dir / split, layout.image_suffix), (root / layout.label_dir / split, layout.label_suffix)
        image_of, label_of = ({stem: str(base / (stem + suffix)) for stem in list_files(base, suffix)} for base, suffix in sides)
        if image_of or label_of:
            self.add(name, image_of, label_of, labelled=split != "test" or bool(label_of))


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
    inventory = Inventory(str(root), layout.table, unlisted=layout.unlisted_ids)
    bases = root / layout.image_dir, root / layout.label_dir
    for split in sorted({entry.name for base in bases for entry in base.iterdir() if entry.is_dir()}):
        inventory.add_folder(root, layout, split, split)
    if not any(inventory.images.values()):
        raise FileNotFoundError(no_images_message(bases[0], layout.image_suffix))
    return inventory
