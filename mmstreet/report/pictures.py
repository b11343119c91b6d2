"""Pictures of images: where a prediction is wrong, what a refiner changed, and pictures as part of a page."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path

import numpy as np
from PIL import Image

from mmstreet.files.atomic import write_json
from mmstreet.files.colors import IGNORED, NO_CLASS
from mmstreet.files.contained import path_inside
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.files.pictures import WIDTH_PX, write_photo

WRONG = (225, 35, 35)
NOT_SCORED = (44, 62, 110)
BETTER = (40, 170, 70)
WORSE = WRONG
STILL_WRONG = (240, 190, 40)
ERRORS = {"error map: right": NO_CLASS, "error map: wrong": WRONG}
CHANGES = {"changes: became right": BETTER, "changes: became wrong": WORSE, "changes: wrong before and after": STILL_WRONG}


def render_errors(
    image: np.ndarray, truth: np.ndarray, preds: np.ndarray, *, num_classes: int, background_scored: bool = True
) -> np.ndarray:
    """Show where a prediction is wrong: red; right is the image in dark grey, not scored is dark blue, ignored is black.

    Args:
        image: RGB, uint8 ``[H, W, 3]``.
        truth: True ids ``[H, W]``; 255 is ignored.
        preds: Predicted ids ``[H, W]``; all ids from ``num_classes`` on are the same "no class".
        num_classes: Number of classes.
        background_scored: Whether pixels that are labelled as none of the classes count; what is predicted there is an error then.

    Returns:
        RGB, uint8 ``[H, W, 3]``.
    """
    picture = _darken(image)
    picture[truth != np.minimum(preds, num_classes)] = WRONG
    if not background_scored:
        picture[truth >= num_classes] = NOT_SCORED
    picture[truth == IGNORE_INDEX] = IGNORED
    return picture


def render_changes(image: np.ndarray, truth: np.ndarray, before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Show what a refiner changed: green became right, red became wrong, yellow stayed wrong; the rest is the image in dark grey.

    Args:
        image: RGB, uint8 ``[H, W, 3]``.
        truth: True ids ``[H, W]``; 255 is ignored and shown black.
        before: Ids before.
        after: Ids after.

    Returns:
        RGB, uint8 ``[H, W, 3]``.
    """
    picture, changed = _darken(image), before != after
    picture[changed] = STILL_WRONG
    picture[changed & (after == truth)] = BETTER
    picture[changed & (before == truth)] = WORSE
    picture[truth == IGNORE_INDEX] = IGNORED
    return picture


def render_kept_images(folder: str | Path) -> list[Path]:
    """Add error maps, or maps of changes where there is a ``baseline``, to the images that a test has just kept in a folder.

    Args:
        folder: Holds ``index.json`` with photographs and label maps; the names of the new pictures and their legend are added to it.

    Returns:
        The new pictures; none where they are there already.
    """
    folder = Path(folder)
    content = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    written, meanings = [], {}
    for i, row in enumerate(content["images"], 1):
        pictures = row["pictures"]
        maps = {name: _read_small(path_inside(folder, file)) for name, file in pictures.items() if file.endswith(".png")}
        truth = maps.pop("truth")
        image = np.asarray(Image.open(path_inside(folder, pictures["image"])).convert("RGB").resize(truth.shape[::-1]))
        if "baseline" in maps:
            before = maps.pop("baseline")
            rendered = {f"{name}: changes": render_changes(image, truth, before, after) for name, after in maps.items()}
            meanings |= CHANGES
        else:
            rules = {name: content[name] for name in ("num_classes", "background_scored")}
            rendered = {"error": render_errors(image, truth, maps["prediction"], **rules)}
            unscored = not rules["background_scored"] and bool((truth == rules["num_classes"]).any())
            meanings |= ERRORS | ({"error map: not scored": NOT_SCORED} if unscored else {})
        for name in [name for name in rendered if name not in pictures]:
            file = f"{i:02d}_{name.replace(': ', '_')}.jpg"
            written.append(write_photo(rendered[name], path_inside(folder, file)))
            pictures[name] = file
    if written:
        content["legend"] += [{"class": name, "color": color} for name, color in meanings.items()]
        write_json(content, folder / "index.json")
    return written


def embed(path: Path) -> str:
    """Return a picture, at most 640 pixels wide, as a ``data:`` address that holds its pixels and nothing else of the file.

    Raises:
        ValueError: If the file is no picture.
    """
    data = io.BytesIO()
    try:
        with Image.open(path, formats=("JPEG", "PNG")) as picture:
            kind = picture.format
            size = (WIDTH_PX, max(1, round(picture.height * WIDTH_PX / picture.width)))
            small = picture.resize(size, _sampling(picture)) if picture.width > WIDTH_PX else picture.copy()
        small.info = {}  # comments, profiles and positions
        small.save(data, kind, **({"quality": 82} if kind == "JPEG" else {}), optimize=True)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ValueError(f"it is no picture that can be shown ({error})") from error
    return f"data:image/{kind.lower()};base64,{base64.b64encode(data.getvalue()).decode()}"


def _read_small(path: Path) -> np.ndarray:
    with Image.open(path) as picture:
        if picture.width > WIDTH_PX:
            picture = picture.resize((WIDTH_PX, max(1, round(picture.height * WIDTH_PX / picture.width))), Image.Resampling.NEAREST)
        return np.asarray(picture)


def _sampling(picture: Image.Image) -> Image.Resampling:
    return Image.Resampling.LANCZOS if picture.format == "JPEG" else Image.Resampling.NEAREST


def _darken(image: np.ndarray) -> np.ndarray:
    return np.broadcast_to(40 + 0.3 * image.mean(2, keepdims=True), image.shape).astype(np.uint8)
