"""Renders a whole data set and writes it, in BDD100K's own folders and formats."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from mmstreet.files.parallel import map_chunks
from mmstreet.formats.bitmask import write_bitmask
from mmstreet.labels import BDD100K_SEM19, IGNORE_INDEX
from mmstreet.mini.annotate import Annotations, annotate
from mmstreet.mini.picture import Picture, develop
from mmstreet.mini.scene import Scene, plan_scene

MARKER = "mini_dataset.json"
"""Settings of the set; a folder that holds this file was written by this module and may be overwritten by it."""
MIN_SIDE = 32
"""Least width and height of a picture in pixels."""
_SPLITS = ("train", "val")
_FOLDERS = {"image": "images/10k", "mask": "labels/sem_seg/masks", "bitmask": "labels/ins_seg/bitmasks"}


@dataclass(frozen=True)
class MiniSettings:
    """What to render.

    Attributes:
        train: Pictures in the training split.
        val: Pictures in the validation split.
        seed: Seed of the set, 0 or more; the same seed gives the same bytes, whatever the number of workers.
        size_wh: Width and height in pixels.

    Raises:
        ValueError: If a number is out of range.
    """

    train: int = 160
    val: int = 40
    seed: int = 0
    size_wh: tuple[int, int] = (640, 360)

    def __post_init__(self):
        for name in ("train", "val", "seed"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more, got {getattr(self, name)}")
        if self.train + self.val == 0:
            raise ValueError("nothing to draw: train and val are both 0; ask for at least one picture")
        if min(self.size_wh) < MIN_SIDE:
            raise ValueError(f"a picture needs at least {MIN_SIDE} pixels in width and height, got {self.size_wh[0]}x{self.size_wh[1]}")


def parse_size(text: str) -> tuple[int, int]:
    """Read ``'640x360'`` as width and height.

    Raises:
        ValueError: If the text is of another form.
    """
    parts = text.lower().split("x")
    if len(parts) != 2 or not all(part.isascii() and part.isdigit() for part in parts):
        raise ValueError(f"a size is WIDTHxHEIGHT in pixels, such as 640x360, got '{text}'")
    return int(parts[0]), int(parts[1])


def render_scene(settings: MiniSettings, split: str, index: int) -> tuple[Scene, Picture, Annotations]:
    """Render one scene and its labels; the result depends on the settings' seed and size, the split and the index alone."""
    plan_rng, noise_rng = (np.random.default_rng([settings.seed, _SPLITS.index(split), index, stream]) for stream in (0, 1))
    scene = plan_scene(plan_rng, index, settings.size_wh)
    canvas = scene.render()
    picture = develop(canvas, noise_rng)
    return scene, picture, annotate(canvas, picture)


def write_mini_dataset(
    root: str | Path, settings: MiniSettings, *, workers: int = 1, overwrite: bool = False, progress: bool = False
) -> None:
    """Render a data set below ``root``: images, masks, bitmasks, Scalabel JSON and image-level labels.

    Args:
        root: Folder that does not exist, is empty, or holds an earlier set that may be overwritten.
        settings: What to draw.
        workers: Processes.
        overwrite: Replace an earlier set in ``root``.
        progress: Show a progress bar.

    Raises:
        FileExistsError: If ``root`` is not empty and may not be overwritten, or holds something else than a mini set.
        ValueError: If ``workers`` is less than 1.
    """
    if workers < 1:
        raise ValueError(f"workers must be 1 or more, got {workers}")
    root = Path(root)
    _clear(root, overwrite)
    splits = [split for split in _SPLITS if getattr(settings, split)]
    for split in splits:
        for folder in _FOLDERS.values():
            (root / folder / split).mkdir(parents=True, exist_ok=True)
    (root / MARKER).write_text(json.dumps({**settings.__dict__, "size_wh": list(settings.size_wh)}) + "\n")
    jobs = [(split, index) for split in splits for index in range(getattr(settings, split))]
    frames: dict[str, list[dict]] = {split: [] for split in splits}
    with tqdm(total=len(jobs), desc="scenes", unit="img", disable=None if progress else True) as bar:
        for chunk in map_chunks(partial(_write_scenes, root, settings), jobs, workers=workers, chunk_size=4):
            for split, frame in chunk:
                frames[split].append(frame)
                bar.update()
    for split in splits:
        _write_json(root, split, frames[split])


def _clear(root: Path, overwrite: bool) -> None:
    if not root.exists() or (root.is_dir() and not any(root.iterdir())):
        return
    if not root.is_dir() or not (root / MARKER).is_file():
        raise FileExistsError(f"'{root}' holds something else than a mini data set (no {MARKER} in it); choose an empty or new folder")
    if not overwrite:
        raise FileExistsError(f"'{root}' holds a mini data set already; choose another folder or add --overwrite")
    for folder in ("images", "labels"):
        if (root / folder).exists():
            shutil.rmtree(root / folder)
    for split in _SPLITS:
        (root / f"image_labels_{split}.json").unlink(missing_ok=True)


def _write_scenes(root: Path, settings: MiniSettings, jobs: list[tuple[str, int]]) -> list[tuple[str, dict]]:
    """Draw and write scenes; return the split of each and what goes into its JSON files."""
    return [(split, _write_scene(root, settings, split, index)) for split, index in jobs]


def _write_scene(root: Path, settings: MiniSettings, split: str, index: int) -> dict:
    scene, picture, labels = render_scene(settings, split, index)
    name = f"{split}_{index:05d}"
    Image.fromarray(picture.image).save(root / _FOLDERS["image"] / split / f"{name}.jpg", quality=picture.quality)
    Image.fromarray(picture.labels).save(root / _FOLDERS["mask"] / split / f"{name}.png")
    write_bitmask(root / _FOLDERS["bitmask"] / split / f"{name}.png", labels.bitmask)
    frame = {
        "name": f"{name}.jpg",
        "attributes": {"weather": scene.light.weather, "scene": scene.street.scene, "timeofday": scene.light.timeofday},
        "size": {"width": settings.size_wh[0], "height": settings.size_wh[1]},
    }
    present = np.unique(picture.labels)
    return {
        "name": name,
        "classes": present[present != IGNORE_INDEX].tolist(),
        "polygons": frame | {"labels": labels.polygons},
        "rles": frame | {"labels": labels.rles},
    }


def _write_json(root: Path, split: str, frames: list[dict]) -> None:
    for kind in ("polygons", "rles"):
        path = root / "labels" / "ins_seg" / kind / f"ins_seg_{split}.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        rows = ",\n".join(json.dumps(frame[kind], separators=(",", ":")) for frame in frames)
        path.write_text(f'{{"frames":[\n{rows}\n]}}\n')
    labels = {"classes": list(BDD100K_SEM19.names), "labels": {frame["name"]: frame["classes"] for frame in frames}}
    (root / f"image_labels_{split}.json").write_text(json.dumps(labels) + "\n")
