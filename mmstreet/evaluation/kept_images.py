"""Images of a test that are kept for a look: photographs and label maps in a folder, and the predictions of all images in one file."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from mmengine.dist import all_gather_object, broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner

from mmstreet.engine.errors import LaunchError
from mmstreet.evaluation.image_choice import choose_images
from mmstreet.files.atomic import write_bytes, write_json
from mmstreet.files.colors import IGNORED, NO_CLASS, check_palette
from mmstreet.files.contained import path_inside
from mmstreet.files.label_archive import FILE, write_label_archive
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.files.numbers import percent
from mmstreet.files.pictures import copy_photo, encode_label_map, nearest_places, shrink_ids
from mmstreet.metrics.semantic import StreetIoUMetric
from mmstreet.readback import Readback

TRUTH, PREDICTION = "truth", "prediction"
FOLDER = "images"
ARCHIVED = 2000
"""Of larger test sets the predictions of so many images are stored, spread evenly, and those of the chosen ones."""


@dataclass(frozen=True, eq=False)
class KeptImage:
    """One image.

    Attributes:
        img_path: Its path.
        maps: Label maps by name, :data:`TRUTH` among them: ids ``[H, W]``, or the file of the picture to show.
        right: Per cent of the scored pixels that each other map has right.
        row: What else the index says of it.
    """

    img_path: str
    maps: Mapping[str, np.ndarray | bytes]
    right: Mapping[str, float]
    row: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class KeptMaps:
    """What a test keeps: the chosen images, and the predictions of all by number, as PNG."""

    images: Sequence[KeptImage] = ()
    predictions: Mapping[int, bytes] = field(default_factory=dict)


@dataclass(frozen=True)
class MapRules:
    """What the ids of label maps mean: class names and their colours, the ignored id, and whether background pixels are scored."""

    names: tuple[str, ...]
    palette: np.ndarray
    ignore_index: int = IGNORE_INDEX
    background_scored: bool = True

    @classmethod
    def of(cls, metric: StreetIoUMetric) -> MapRules:
        """Take over the rules of a metric."""
        palette = list((metric.dataset_meta or {}).get("palette") or ())[: len(metric.names)]
        return cls(metric.names, check_palette(palette, len(metric.names)), metric.ignore_index, metric.scope == "scene")

    def shrink(self, ids: np.ndarray) -> np.ndarray:
        """Return a label map as it is shown: small, uint8, 255 for ignored, the id after the last class for all that is none."""
        ids = shrink_ids(ids)
        return np.where(ids == self.ignore_index, IGNORE_INDEX, np.minimum(ids, len(self.names))).astype(np.uint8)

    def legend(self, present: Collection[int]) -> list[dict]:
        """Name the colours of the ids that label maps hold: ids of classes, their count for the background, 255 for ignored."""
        count = len(self.names)
        colors = np.where((self.palette == 0).all(1, keepdims=True), NO_CLASS, self.palette)
        legend = [{"class": self.names[i], "color": colors[i].tolist()} for i in sorted(present) if i < count]
        legend += [{"class": "background", "color": NO_CLASS}] if count in present else []
        return legend + ([{"class": "ignored", "color": IGNORED}] if IGNORE_INDEX in present else [])


def write_kept_images(
    kept: Sequence[KeptImage], rules: MapRules, out: Path, name: str = FOLDER, *, orientation: str = "stored"
) -> list[Path]:
    """Write the images and label maps, 640 pixels wide at most, into the folder ``out/name``, and ``index.json``, which says what they are.

    Args:
        kept: The images, in order.
        rules: Of their label maps.
        out: Folder of the results.
        name: Of the folder in it.
        orientation: How the images were turned for the model; see :func:`~mmstreet.files.images.read_image`.

    Returns:
        All files, ``index.json`` first; none without images.

    Raises:
        ValueError: If ``out/name`` is a link to a folder elsewhere, or there are more classes than a picture has ids.
    """
    if not kept:
        return []
    folder, files, rows = path_inside(out, name), [], []
    for i, image in enumerate(kept, 1):
        pictures = {"image": copy_photo(image.img_path, folder / f"{i:02d}_image.jpg", orientation=orientation)}
        for title, ids in image.maps.items():
            data = ids if isinstance(ids, bytes) else encode_label_map(rules.shrink(ids), rules.palette)
            pictures[title] = write_bytes(data, folder / f"{i:02d}_{title}.png", durable=False)
        row = {"title": Path(image.img_path).name, "img_path": image.img_path, "right": image.right, **image.row}
        rows.append(row | {"pictures": {title: path.name for title, path in pictures.items()}})
        files += pictures.values()
    classes = rules.legend(range(len(rules.names)))
    content = {"classes": classes, "background_scored": rules.background_scored, "ignored": IGNORED, "no_class": NO_CLASS, "images": rows}
    return [write_json(content, folder / "index.json"), *files]


def write_kept_maps(kept: KeptMaps, rules: MapRules, out: Path, *, orientation: str = "stored") -> list[Path]:
    """Write the chosen images into ``out/images``, see :func:`write_kept_images`, and all predictions into one file beside it."""
    written = write_kept_images(kept.images, rules, out, orientation=orientation)
    return [*written, write_label_archive(kept.predictions, out / FILE)] if kept.predictions else written


class KeepImagesHook(Hook):
    """Keep the label maps of a test, small and packed, and choose at its end the images that are worth a look.

    Args:
        metric: The metric of the same test loop, whose names of images and counts are used.
        worst: How many of the lowest scores.
        examples: How many spread evenly over the data set.
        limit: How many in all, see :func:`~mmstreet.evaluation.image_choice.choose_images`; with 0 nothing is kept.
    """

    def __init__(self, metric: StreetIoUMetric, *, worst: int = 8, examples: int = 4, limit: int = 40) -> None:
        self.metric, self.worst, self.examples, self.limit = metric, worst, examples, limit
        self._maps: dict[str, tuple[bytes, bytes]] = {}
        self._waiting: list[tuple[str, list[Readback]]] = []
        self._places: dict[tuple, list[torch.Tensor]] = {}

    def before_test(self, runner: Runner) -> None:
        """Check that the label maps can be shown, before the first image."""
        if self.limit > 0 and len(self.metric.names) >= IGNORE_INDEX:
            raise LaunchError(f"pictures show at most {IGNORE_INDEX - 1} classes, got {len(self.metric.names)}; test with --images 0")

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: Sequence | None = None) -> None:
        """Ask for the label maps of one batch, which a GPU may still be computing, and pack those of the batch before."""
        self._pack()
        for sample in outputs if self.limit > 0 else ():
            if sample.get("img_path"):
                truth, preds = (self._shrink(part.data.reshape(part.data.shape[-2:])) for part in (sample.gt_sem_seg, sample.pred_sem_seg))
                ignored, count = self.metric.ignore_index, len(self.metric.names)
                if ignored != IGNORE_INDEX:
                    truth = truth.masked_fill(truth == ignored, IGNORE_INDEX)
                # The metric has refused other labels. In a prediction 255 is "no class".
                maps = [Readback(ids.to(torch.uint8)) for ids in (truth, preds.clamp(max=count))]
                self._waiting.append((sample.img_path, maps))

    def _pack(self) -> None:
        palette = MapRules.of(self.metric).palette
        for image, maps in self._waiting:
            self._maps[image] = tuple(encode_label_map(ids.read().numpy(), palette, fast=True) for ids in maps)
        self._waiting.clear()

    def _shrink(self, ids: torch.Tensor) -> torch.Tensor:
        """As :func:`~mmstreet.files.pictures.shrink_ids`, where the map is."""
        key = tuple(ids.shape), ids.device
        if key not in self._places:
            self._places[key] = [torch.from_numpy(places).to(ids.device) for places in nearest_places(*ids.shape)]
        rows, columns = self._places[key]
        return ids if key[0] == (len(rows), len(columns)) else ids[rows][:, columns]

    def collect(self) -> KeptMaps:
        """Return what is kept of all processes; every process has to call this, after the evaluation. Empty but on the main one."""
        self._pack()
        plan = [self._plan() if is_main_process() else None]
        broadcast_object_list(plan)
        chosen, stored = plan[0]
        own = {image: maps for image, maps in self._maps.items() if image in chosen or image in stored}
        found = {image: maps for part in all_gather_object(own) for image, maps in part.items()}
        self._maps.clear()
        if not is_main_process():
            return KeptMaps()
        images = [self._describe(image, number, lists, found[image]) for image, (number, lists) in chosen.items() if image in found]
        return KeptMaps(images, {number: found[image][1] for image, number in stored.items() if image in found})

    def _plan(self) -> tuple[dict[str, tuple[int, list[str]]], dict[str, int]]:
        """Name the images to choose, with number and lists, and those whose predictions are stored, with their number."""
        if self.limit < 1 or self.metric.by_image is None:
            return {}, {}
        names, counts = self.metric.by_image.images, self.metric.by_image.scored(self.metric.scope)
        slices = [scores for _, _, scores in self._slice_scores()]
        wanted = dict(worst=self.worst, examples=self.examples, limit=self.limit)
        chosen = choose_images(counts, self.metric.score_image(self.metric.by_image.confusion), slices, **wanted)
        spread = np.linspace(0, len(names) - 1, min(ARCHIVED, len(names))).round().astype(int).tolist()
        return {names[i]: (i, lists) for i, lists in chosen.items()}, {names[i]: i for i in sorted({*spread, *chosen})}

    def _slice_scores(self) -> list[tuple[str, str, dict[int, float]]]:
        """List attribute, value, and the mIoU of each image in that slice by its number."""
        found = []
        for attribute, parts in self.metric.slices.items():
            for part in parts:
                scores = zip(part.images, self.metric.score_image(part.counts).tolist())
                found.append((attribute, part.value, {number: score for number, score in scores if not np.isnan(score)}))
        return found

    def _describe(self, image: str, number: int, lists: list[str], maps: tuple[bytes, bytes]) -> KeptImage:
        counts = self.metric.by_image.scored(self.metric.scope)[number]
        slices = [
            {"attribute": attribute, "value": value, "mIoU": scores[number]}
            for attribute, value, scores in self._slice_scores()
            if number in scores
        ]
        score = percent(float(self.metric.score_image(self.metric.by_image.confusion[number])) / 100)
        right = {PREDICTION: percent(np.trace(counts) / max(1, counts.sum()))}
        row = {"mIoU": score, "lists": lists, "slices": slices}
        return KeptImage(image, dict(zip((TRUTH, PREDICTION), maps)), right, row)
