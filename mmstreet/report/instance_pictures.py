"""Pictures that show what a detector gets: instances, masks at the size that they are learned at, anchors, proposals, regions."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from mmstreet.files.atomic import atomic_path
from mmstreet.report.figures import save_figure

POSITIVE, NEGATIVE = (26, 152, 80), (215, 48, 39)
LEVEL_COLORS = ((230, 25, 75), (245, 130, 49), (255, 225, 25), (60, 180, 75), (67, 99, 216), (145, 30, 180))
_CELL_PX = 168
_TEXT_PX = 14
_MASKS = 10
_PROPOSALS = 150


def render_inspection(folder: str | Path) -> list[Path]:
    """Render the arrays that an inspection has written into a folder: ``instances.png``, and six pictures per image beside its arrays.

    These are ``annotated.png``, ``letterboxed.png``, ``masks.png`` (the largest at their boxes, and below at 56×56), ``anchors.png``
    (those of one cell of each level), ``proposals.png`` (some, positive ones green) and ``regions.png`` (the outline of the part of the
    mask to be learned is green).

    Args:
        folder: Holds ``inspection.json``, and for each image a folder with ``arrays.npz``.

    Returns:
        The pictures.
    """
    folder = Path(folder)
    report = json.loads((folder / "inspection.json").read_text(encoding="utf-8"))
    written = [_plot_stats(report, folder / "instances.png")]
    for image in report["images"]:
        with np.load(folder / image["folder"] / "arrays.npz", allow_pickle=False) as arrays:
            for name, picture in _render_image(image, dict(arrays)).items():
                path = folder / image["folder"] / f"{name}.png"
                with atomic_path(path) as temporary:
                    picture.save(temporary)
                written.append(path)
    return written


def blend_masks(image: np.ndarray, masks: np.ndarray, colors: Sequence[Sequence[int]], *, opacity: float = 0.5) -> np.ndarray:
    """Lay masks over an image, each in its colour; the later of two masks lies on top.

    Args:
        image: RGB, uint8 ``[H, W, 3]``.
        masks: Bool ``[N, H, W]``.
        colors: RGB of each mask.
        opacity: Weight of the colour, 0 to 1.

    Returns:
        RGB, uint8 ``[H, W, 3]``.
    """
    blended = image.copy()
    for mask, color in zip(masks, colors, strict=True):
        blended[mask] = ((1 - opacity) * image[mask] + opacity * np.array(color)).astype(np.uint8)
    return blended


def _render_image(report: Mapping, arrays: Mapping[str, np.ndarray]) -> dict[str, Image.Image]:
    texts = [row["class"] for row in report["instances"]["on_canvas"]]
    canvas, colors = arrays["canvas"], [tuple(color) for color in arrays["colors"].tolist()]
    levels, proposals = report["anchors"], arrays["proposals"]
    shown = np.linspace(0, len(proposals) - 1, min(_PROPOSALS, len(proposals)), dtype=int) if len(proposals) else []
    shown = sorted(shown, key=lambda i: arrays["positive"][i])
    anchors = [(box, color, "") for level, color in zip(levels, LEVEL_COLORS) for box in level["example"]]
    legend = [(f"stride {level['stride']}: {level['anchors']:,} anchors, {level['positive']:,} positive") for level in levels]
    return {
        "annotated": _render_boxes(blend_masks(arrays["image"], arrays["masks"], colors), zip(arrays["boxes"], colors, texts)),
        "letterboxed": _render_boxes(blend_masks(canvas, arrays["canvas_masks"], colors), zip(arrays["canvas_boxes"], colors, texts)),
        "masks": _render_masks(arrays, texts),
        "anchors": _render_boxes(canvas, anchors, legend=list(zip(legend, LEVEL_COLORS))),
        "proposals": _render_boxes(canvas, [(proposals[i], POSITIVE if arrays["positive"][i] else NEGATIVE, "") for i in shown]),
        "regions": _render_regions(arrays, texts),
    }


def _render_boxes(image: np.ndarray, boxes: Iterable[tuple], *, legend: Sequence[tuple[str, tuple]] = ()) -> Image.Image:
    """Draw boxes ``(x1, y1, x2, y2)`` with their colours and names on an image, and lines of a legend below it."""
    height, width = image.shape[:2]
    font = ImageFont.load_default(max(_TEXT_PX, width // 90))
    line = round(1.5 * font.size)
    picture = Image.new("RGB", (width, height + line * len(legend)), "white")
    picture.paste(Image.fromarray(np.ascontiguousarray(image)))
    draw = ImageDraw.Draw(picture)
    for box, color, text in boxes:
        x1, y1, x2, y2 = (round(float(side)) for side in box)
        draw.rectangle((x1, y1, max(x1, x2 - 1), max(y1, y2 - 1)), outline=color, width=max(1, width // 640))
        if text and min(x2 - x1, y2 - y1) >= 0.012 * width:  # names of tiny ones would hide each other
            place = (x1, max(0, y1 - line))
            draw.rectangle(draw.textbbox(place, text, font=font), fill=color)
            draw.text(place, text, fill="white", font=font)
    for i, (text, color) in enumerate(legend):
        draw.rectangle((4, height + line * i + 4, 4 + font.size, height + line * i + font.size), fill=color)
        draw.text((12 + font.size, height + line * i), text, fill="black", font=font)
    return picture


def _render_masks(arrays: Mapping[str, np.ndarray], texts: Sequence[str]) -> Image.Image:
    boxes, masks, small = arrays["canvas_boxes"].astype(int), arrays["canvas_masks"], arrays["small_masks"]
    crops = [mask[y1:y2, x1:x2] for mask, (x1, y1, x2, y2) in zip(masks, boxes)]
    largest = sorted(range(len(crops)), key=lambda i: -crops[i].size)[:_MASKS]
    above = [(255 * np.uint8(crops[i]), f"{texts[i]} {crops[i].shape[1]}x{crops[i].shape[0]}") for i in largest]
    below = [(255 * np.uint8(small[i]), f"{small[i].shape[1]}x{small[i].shape[0]}") for i in largest]
    return _lay_out([above, below])


def _render_regions(arrays: Mapping[str, np.ndarray], texts: Sequence[str]) -> Image.Image:
    cells = []
    for i, owner in zip(arrays["regions"], arrays["owners"]):
        x1, y1 = np.floor(arrays["proposals"][i, :2]).astype(int)
        x2, y2 = np.maximum(np.ceil(arrays["proposals"][i, 2:]).astype(int), (x1 + 1, y1 + 1))
        patch = arrays["canvas"][y1:y2, x1:x2].copy()
        if owner >= 0:
            mask = np.pad(arrays["canvas_masks"][owner, y1:y2, x1:x2], 1, mode="edge")
            inner = mask[:-2, 1:-1] & mask[2:, 1:-1] & mask[1:-1, :-2] & mask[1:-1, 2:]
            patch[mask[1:-1, 1:-1] & ~inner] = POSITIVE
        cells.append((patch, texts[owner] if owner >= 0 else "background"))
    return _lay_out([cells[i : i + 5] for i in range(0, len(cells), 5)])


def _lay_out(rows: Sequence[Sequence[tuple[np.ndarray, str]]]) -> Image.Image:
    """Put small pictures into a grid, each scaled to its cell, with a line of text above."""
    columns = max([len(row) for row in rows] + [1])
    line = round(1.5 * _TEXT_PX)
    sheet = Image.new("RGB", ((_CELL_PX + 8) * columns, (_CELL_PX + line + 8) * max(len(rows), 1)), "#dddddd")
    draw, font = ImageDraw.Draw(sheet), ImageFont.load_default(_TEXT_PX)
    for y, row in enumerate(rows):
        for x, (picture, text) in enumerate(row):
            left, top = 4 + x * (_CELL_PX + 8), 4 + y * (_CELL_PX + line + 8)
            scale = _CELL_PX / max(picture.shape[:2])
            size = tuple(max(1, round(scale * side)) for side in picture.shape[1::-1])
            draw.text((left, top), text, fill="black", font=font)
            sheet.paste(Image.fromarray(picture).resize(size, Image.Resampling.NEAREST), (left, top + line))
    return sheet


def _plot_stats(report: Mapping, path: Path) -> Path:
    """Plot instances per image, per class with their sizes, and per size."""
    stats, palette = report["set"], np.array(report["palette"]) / 255
    mean = stats["per_image"]["mean"]
    figure = Figure(figsize=(12, 3.6), dpi=100, layout="constrained")
    title = f"{report['split']}: {stats['instances']:,} instances in {stats['images']:,} images"
    figure.suptitle(title + (f", {mean:.2f} per image" if mean is not None else ""), fontsize=11)
    images, classes, sizes = figure.subplots(1, 3, width_ratios=(3, 4, 2))
    histogram = stats["per_image"]["histogram"]
    images.bar([int(number) for number in histogram], list(histogram.values()), width=0.9, color="#4a6fa5")
    if mean is not None:
        images.axvline(mean, color="#d73027", linewidth=1.2)
    images.set(xlabel="instances in an image", ylabel="images")
    for y, (row, color) in enumerate(zip(stats["classes"], palette)):
        if row["instances"]:
            classes.barh(y, row["instances"], color=color, edgecolor="#444444", linewidth=0.5)
        classes.text(max(row["instances"], 1), y, f" {row['instances']:,} in {row['images']:,} images", va="center", fontsize=7)
    classes.set_xscale("log")
    classes.set_yticks(range(len(stats["classes"])), [row["name"] for row in stats["classes"]], fontsize=8)
    classes.invert_yaxis()
    classes.set_xlim(0.8, 30 * max([row["instances"] for row in stats["classes"]] + [1]))
    classes.set_xlabel("instances, logarithmic")
    bars = sizes.bar(list(stats["sizes"]), list(stats["sizes"].values()), color=["#9ecae1", "#4292c6", "#084594"])
    sizes.bar_label(bars, fontsize=8)
    sizes.set_xlabel("area: 32² and 96² pixels")
    for axes in (images, classes, sizes):
        axes.spines[["top", "right"]].set_visible(False)
        axes.tick_params(labelsize=8)
    return save_figure(figure, path)
