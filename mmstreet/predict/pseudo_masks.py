"""Pseudo-masks as files, for training without a teacher, and as pictures of the four views."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw
from tqdm import tqdm

from mmstreet.datasets.image_labels import ImageLabels
from mmstreet.datasets.layouts import Layout
from mmstreet.datasets.pairs import list_pairs
from mmstreet.engine.errors import LaunchError
from mmstreet.files.atomic import write_text
from mmstreet.files.images import read_image, write_image
from mmstreet.files.sharing import SharedWork, choose_size, cut_chunks
from mmstreet.labels import LabelTable, colorize
from mmstreet.models.clip import ClipTeacher
from mmstreet.models.pseudo_mask import four_views

VIEWS = ("whole", "resized", "quarters", "both")


def label_image(teacher: ClipTeacher, path: str | Path, present: np.ndarray, view: str = "whole") -> np.ndarray:
    """Make the pseudo-mask of one image file.

    Args:
        teacher: The teacher.
        path: Image file.
        present: Which classes it shows, bool ``[C]``.
        view: One of :data:`VIEWS`.

    Returns:
        Train ids, uint8 ``[H, W]``; 255 everywhere if the image shows no class.
    """
    image, shown = _as_tensor(read_image(path), teacher), torch.from_numpy(present)[None]
    if view == "whole":
        return teacher.label(image, shown)[0].cpu().numpy().astype(np.uint8)
    views = four_views(teacher, image, shown)
    return views[view][0].cpu().numpy().astype(np.uint8)


def write_pseudo_masks(
    teacher: ClipTeacher,
    root: str | Path,
    layout: Layout,
    split: str,
    labels: ImageLabels,
    out: str | Path,
    *,
    settings: dict,
    view: str = "whole",
    progress: bool = False,
) -> tuple[int, int]:
    """Write ``out/KEY.png``, train ids, for every image of a split; masks that are there already stay.

    A file appears whole or not at all, so an interrupted run goes on. Processes of one job take chunks in turn. ``out/settings.json``
    remembers how the masks are made.

    Args:
        teacher: The teacher.
        root: Data root.
        layout: Folder scheme below the root.
        split: Folder of the images.
        labels: Image-level labels.
        out: Folder of the masks.
        settings: How the masks are made, as JSON.
        view: One of :data:`VIEWS`.
        progress: Show a bar.

    Returns:
        Number of masks written, and number that were there, by all processes so far.

    Raises:
        LaunchError: If the folder holds masks made otherwise.
        FileNotFoundError: If there are no images.
        KeyError: If an image has no entry in ``labels``; the message names it.
    """
    out = Path(out)
    record, settings = out / "settings.json", {**settings, "view": view}
    if record.exists() and json.loads(record.read_text()) != settings:
        raise LaunchError(f"'{out}' holds masks made with other settings, {record.read_text().strip()}; choose another folder")
    pairs = list_pairs(root, layout, split, labelled=False)
    jobs = [(pair.image_path, labels.vector(pair.name), out / f"{pair.name}.png") for pair in pairs]
    write_text(json.dumps(settings) + "\n", record)
    chunks = cut_chunks(jobs, choose_size(len(jobs)))
    work = SharedWork(chunks, out, names=[json.dumps(settings), *(str(target) for _, _, target in jobs)])
    with tqdm(total=len(jobs), unit="image", disable=None if progress and work.shard.index == 0 else True) as bar:

        def do(chunk: list[tuple]) -> dict:
            missing = [job for job in chunk if not job[2].exists()]
            for path, present, target in missing:
                write_image(label_image(teacher, path, present, view), target)
            bar.update(len(chunk))
            return {"written": len(missing), "kept": len(chunk) - len(missing)}

        work.run(do)
    done = work.results()
    return sum(part["written"] for part in done), sum(part["kept"] for part in done)


def render_views(teacher: ClipTeacher, path: str | Path, shown: Sequence[str], table: LabelTable) -> Image.Image:
    """Draw an image and its pseudo-masks in the four views, two by two below it, with the colours of the classes.

    Args:
        teacher: The teacher.
        path: Image file.
        shown: Names of the classes that the image shows.
        table: Class table of the teacher.

    Raises:
        KeyError: If a name is no class of the table.
    """
    present = np.zeros(len(table), bool)
    present[[table.index(name) for name in shown]] = True
    image = read_image(path)
    views = four_views(teacher, _as_tensor(image, teacher), torch.from_numpy(present)[None])
    titles = {"whole": "whole image", "resized": "resized x2", "quarters": "quarters joined", "both": "quarters, each resized x2"}
    tiles = [("image", image[..., ::-1])]
    tiles += [(titles[name], colorize(mask[0].cpu().numpy().astype(np.uint8), table)) for name, mask in views.items()]
    width = 360
    height = round(width * image.shape[0] / image.shape[1])
    page = Image.new("RGB", (3 * width + 20, 2 * (height + 20)), "white")
    pen = ImageDraw.Draw(page)
    places = [(0, 0), (1, 0), (2, 0), (1, 1), (2, 1)]
    for (title, tile), (column, row) in zip(tiles, places):
        x, y = column * (width + 10), row * (height + 20)
        resample = Image.Resampling.BILINEAR if title == "image" else Image.Resampling.NEAREST
        page.paste(Image.fromarray(np.ascontiguousarray(tile)).resize((width, height), resample), (x, y + 16))
        pen.text((x, y + 2), title, fill="black")
    for i, name in enumerate(shown):
        x, y = 10 + 170 * (i // 12), height + 40 + 14 * (i % 12)
        pen.rectangle((x, y, x + 10, y + 10), fill=tuple(table.palette[table.index(name)]))
        pen.text((x + 16, y - 1), name, fill="black")
    return page


def _as_tensor(image: np.ndarray, teacher: ClipTeacher) -> torch.Tensor:
    """Turn a BGR picture, uint8 ``[H, W, 3]``, into what the teacher reads."""
    rgb = np.ascontiguousarray(image[..., ::-1])
    return torch.from_numpy(rgb).permute(2, 0, 1)[None].float().to(teacher.text_embeddings.device)
