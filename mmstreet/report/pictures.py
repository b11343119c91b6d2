"""Single pictures as small files, for pages that lay them out themselves."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from mmstreet.files.atomic import write_json
from mmstreet.report.panels import Panel, fit_nearest, paint, paint_errors

WIDTH_PX = 640


def write_picture(image: np.ndarray, path: str | Path, *, width_px: int = WIDTH_PX) -> Path:
    """Write a picture no wider than ``width_px``: ``.jpg`` for photographs, ``.png`` for painted label maps.

    Args:
        image: RGB, uint8 ``[H, W, 3]``.
        path: The file; its folder is made if it is missing.
        width_px: Wider pictures are made smaller, photographs by averaging, label maps by their nearest pixels.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    photograph = path.suffix == ".jpg"
    picture = Image.fromarray(np.ascontiguousarray(image))
    if picture.width > width_px:
        height = max(1, round(picture.height * width_px / picture.width))
        picture = picture.resize((width_px, height), Image.Resampling.LANCZOS if photograph else Image.Resampling.NEAREST)
    if photograph:
        picture.save(path, quality=82, optimize=True)
    else:
        picture.save(path, optimize=True)
    return path


def write_panels(
    panels: Sequence[Panel],
    *,
    names: Sequence[str],
    palette: Sequence[Sequence[int]],
    scores: Sequence[float],
    folder: str | Path,
    ignore_index: int = 255,
    background_scored: bool = True,
) -> list[Path]:
    """Write image, truth, prediction and error of each panel as files of their own, and ``index.json``, which names them.

    Args:
        panels: The rows; a panel's title is the name of its image.
        names: Class names.
        palette: RGB of each class.
        scores: One number per panel, mIoU in per cent.
        folder: Where to.
        ignore_index: Id of ignored pixels.
        background_scored: Whether pixels that are labelled as none of the classes count; see
            :func:`~mmstreet.report.panels.paint_errors`.

    Returns:
        The files, ``index.json`` first.
    """
    folder = Path(folder)
    written, rows = [], []
    for i, (panel, score) in enumerate(zip(panels, scores, strict=True), 1):
        image = fit_nearest(panel.image, panel.labels.shape)
        scored = {"ignore_index": ignore_index, "background_scored": background_scored}
        pictures = {
            "image.jpg": panel.image,
            "truth.png": paint(panel.labels, palette, ignore_index=ignore_index),
            "prediction.png": paint(panel.preds, palette, ignore_index=ignore_index),
            "error.jpg": paint_errors(image, panel.labels, panel.preds, num_classes=len(names), **scored),
        }
        files = {Path(kind).stem: write_picture(picture, folder / f"{i:02d}_{kind}") for kind, picture in pictures.items()}
        valid = (panel.labels != ignore_index) & (background_scored | (panel.labels < len(names)))
        wrong = (panel.labels != np.minimum(panel.preds, len(names))) & valid
        rows.append(
            {"title": panel.title, "mIoU": score, "wrong": float(100 * wrong.sum() / max(1, valid.sum()))}
            | {kind: file.name for kind, file in files.items()}
        )
        written += files.values()
    present = sorted({int(i) for panel in panels for ids in (panel.labels, panel.preds) for i in np.unique(ids) if i < len(names)})
    legend = [{"class": names[i], "color": [int(part) for part in paint(np.array([[i]]), palette)[0, 0]]} for i in present]
    return [write_json({"images": rows, "legend": legend}, folder / "index.json"), *written]
