"""Label maps with damaged bytes, and class tables and layouts of a config with one value changed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image

from mmstreet.datasets.layouts import detect_layout, layout_from_config
from mmstreet.datasets.pairs import list_pairs
from mmstreet.files.images import ImageFileError
from mmstreet.formats.label_files import LabelFileError, read_labels
from mmstreet.labels import BDD100K_SEM19, get_table
from tests.hostile.kinds import Cases, hostile
from tests.hostile.labels import mutations

ROWS = [
    dict(name="road", id=7, color=[128, 64, 128], group="flat", thing=False, share=60.0, role="road"),
    dict(name="tram", id=31, color=[0, 80, 100], group="vehicle", thing=True, share=0.3),
    dict(name="sky"),
]
LAYOUT = dict(
    image_dir="{split}/images",
    label_dir="labels",
    image_suffix=[".jpg", ".png"],
    label_suffix="_ids.png",
    unlisted="ignore",
    palette="index",
    folders={"train": "training"},
)


def label_maps(rng: np.random.Generator) -> dict[str, bytes]:
    """The ways in which a label map may lie on disk, and some that are none."""
    ids = rng.choice([*range(19), 255], (24, 32)).astype(np.uint8)
    palette = Image.fromarray(ids % 19, "P")
    palette.putpalette([channel for color in BDD100K_SEM19.palette for channel in color])
    grey = Image.fromarray(ids % 19, "P")
    grey.putpalette([channel for i in range(19) for channel in [i] * 3])
    images = {
        "ids": Image.fromarray(ids),
        "palette": palette,
        "grey palette": grey,
        "colours": Image.fromarray(np.array(BDD100K_SEM19.palette, np.uint8)[ids % 19]),
        "alpha": Image.fromarray(rng.integers(0, 255, (24, 32, 4), np.uint8)),
        "deep": Image.fromarray(ids.astype(np.uint16) * 99),
        "binary": Image.fromarray(ids > 9),
    }
    files = {}
    for name, image in images.items():
        content = io.BytesIO()
        image.save(content, "PNG")
        files[name] = content.getvalue()
    for kind in ("JPEG", "GIF", "BMP", "TIFF", "WEBP"):
        content = io.BytesIO()
        images["ids"].save(content, kind)
        files[kind] = content.getvalue()
    return files


@hostile("label maps: damaged", errors=(LabelFileError, ImageFileError))
def damaged_label_maps(folder: Path, rng: np.random.Generator) -> Cases:
    """Label maps as they are, cut, and with some bytes changed, read by colour and by index."""
    for name, data in label_maps(rng).items():
        for i in range(12):
            damaged = bytearray(data)
            if i % 3 == 1:
                damaged = damaged[: rng.integers(len(damaged))]
            elif i % 3 == 2:
                for _ in range(rng.integers(1, 5)):
                    damaged[rng.integers(len(damaged))] = rng.integers(256)
            path, content = folder / f"{name}_{i}.png", bytes(damaged)
            settings = dict(palette=("color", "index")[i % 2], unlisted=("error", "ignore")[i // 2 % 2])

            def read(path=path, content=content, settings=settings) -> None:
                path.write_bytes(content)
                labels = read_labels(path, BDD100K_SEM19, **settings)
                assert labels.dtype == np.uint8
                assert ((labels < 19) | (labels == 255)).all()

            yield f"{name} {i}", read


@hostile("configs: rows of a class table", errors=(ValueError,))
def changed_rows(folder: Path, rng: np.random.Generator) -> Cases:
    """Rows of a class table with one value changed."""
    for label, rows in mutations(ROWS, rng, 200):
        yield label, lambda rows=rows: get_table(rows).metainfo


@hostile("configs: a layout", errors=(ValueError, FileNotFoundError))
def changed_layouts(folder: Path, rng: np.random.Generator) -> Cases:
    """A layout with one value changed, searched for images."""
    for path in ("training/images/a.jpg", "labels/training/a_ids.png"):
        (folder / path).parent.mkdir(parents=True)
        (folder / path).write_bytes(b"x")
    for label, layout in mutations(LAYOUT, rng, 150):
        yield label, lambda layout=layout: list_pairs(folder, layout_from_config(layout), "train")


@hostile("data roots: other folders", errors=(ValueError, FileNotFoundError), refused=True)
def foreign_roots(folder: Path, rng: np.random.Generator) -> Cases:
    """Folders that look like a known set and hold none of its images."""
    (folder / "file").write_bytes(b"x")
    for i, parts in enumerate((["images"], ["leftImg8bit", "gtFine"], ["training"], ["train", "trainannot"], ["seg/images/train"], [])):
        root = folder / str(i)
        for part in parts:
            (root / part).mkdir(parents=True)
        yield f"folders {parts}", lambda root=root: list_pairs(root, detect_layout(root), "train")
    for name in ("missing", "file"):
        yield name, lambda name=name: list_pairs(folder / name, detect_layout(folder / name), "train")
