"""Images of a test that are kept for a look: the worst, and some spread evenly; as photographs and label maps in a folder."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement

from mmstreet.files.atomic import write_json
from mmstreet.files.colors import IGNORED, NO_CLASS, check_palette
from mmstreet.files.contained import path_inside
from mmstreet.files.images import read_rgb
from mmstreet.files.label_ids import IGNORE_INDEX
from mmstreet.files.pictures import write_label_map, write_photo
from mmstreet.metrics.semantic import StreetIoUMetric

TRUTH, PREDICTION = "truth", "prediction"


@dataclass(frozen=True, eq=False)
class KeptImage:
    """One image: its path, its label maps by name, ids ``[H, W]``, :data:`TRUTH` among them, and its mIoU in per cent if known."""

    img_path: str
    maps: Mapping[str, np.ndarray]
    score: float | None = None


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

    def share_right(self, truth: np.ndarray, preds: np.ndarray) -> float:
        """Return the per cent of the scored pixels that are predicted right; 100 where no pixel is scored."""
        count = len(self.names)
        valid = (truth != self.ignore_index) & (self.background_scored | (truth < count))
        return float(100 - 100 * (truth != np.minimum(preds, count))[valid].sum() / max(1, valid.sum()))

    def legend(self, present: Collection[int]) -> list[dict]:
        """Name the colours of the ids that label maps hold: ids of classes, their count for the background, 255 for ignored."""
        count = len(self.names)
        colors = np.where((self.palette == 0).all(1, keepdims=True), NO_CLASS, self.palette)
        legend = [{"class": self.names[i], "color": colors[i].tolist()} for i in sorted(present) if i < count]
        legend += [{"class": "background", "color": NO_CLASS}] if count in present else []
        return legend + ([{"class": "ignored", "color": IGNORED}] if IGNORE_INDEX in present else [])


def write_kept_images(kept: Sequence[KeptImage], rules: MapRules, out: Path, name: str, *, orientation: str = "stored") -> list[Path]:
    """Write the images and label maps into the folder ``out/name``, and ``index.json``, which says what they are.

    Args:
        kept: The images, in order.
        rules: Of their label maps.
        out: Folder of the results.
        name: Such as ``'worst'``.
        orientation: How the images were turned for the model; see :func:`~mmstreet.files.images.read_image`.

    Returns:
        All files, ``index.json`` first; none without images.

    Raises:
        ValueError: If ``out/name`` is a link to a folder elsewhere.
    """
    if not kept:
        return []
    folder, count, files, rows, present = path_inside(out, name), len(rules.names), [], [], set()
    for i, image in enumerate(kept, 1):
        pictures = {"image": write_photo(read_rgb(image.img_path, orientation=orientation), folder / f"{i:02d}_image.jpg")}
        for title, ids in image.maps.items():
            present |= set(np.unique(np.where(ids == rules.ignore_index, IGNORE_INDEX, np.minimum(ids, count))).tolist())
            path = folder / f"{i:02d}_{title}.png"
            pictures[title] = write_label_map(ids, rules.palette, path, ignore_index=rules.ignore_index)
        right = {title: rules.share_right(image.maps[TRUTH], ids) for title, ids in image.maps.items() if title != TRUTH}
        row = {"title": Path(image.img_path).name, "img_path": image.img_path, "mIoU": image.score, "right": right}
        rows.append(row | {"pictures": {title: path.name for title, path in pictures.items()}})
        files += pictures.values()
    content = {"num_classes": count, "background_scored": rules.background_scored, "legend": rules.legend(present), "images": rows}
    return [write_json(content, folder / "index.json"), *files]


class KeepImagesHook(Hook):
    """Keep truth and prediction of the images that a metric scores lowest, and of some spread evenly over the data set.

    Args:
        metric: The metric of the same test loop; its counts of the last batch are read, nothing is counted twice.
        worst: How many of the lowest scores.
        examples: How many spread evenly.
    """

    def __init__(self, metric: StreetIoUMetric, *, worst: int = 8, examples: int = 0) -> None:
        self.metric, self.worst, self.examples = metric, worst, examples
        self._worst: list[KeptImage] = []
        self._examples: dict[str, KeptImage | None] = {}

    def before_test(self, runner: Runner) -> None:
        """Choose the examples."""
        dataset = runner.test_loop.dataloader.dataset
        indices = np.linspace(0, len(dataset) - 1, min(self.examples, len(dataset))).round().astype(int)
        self._examples = {dataset.get_data_info(i)["img_path"]: None for i in indices.tolist()}

    def after_test_iter(self, runner: Runner, batch_idx: int, data_batch: object = None, outputs: Sequence | None = None) -> None:
        """Look at one batch."""
        self.metric.flush()
        for (image, counts, _), sample in zip(self.metric.results[-len(outputs) :], outputs, strict=True):
            score = self.metric.score_image(counts)
            bad = not np.isnan(score) and (len(self._worst) < self.worst or (bool(self._worst) and score < self._worst[-1].score))
            if not bad and image not in self._examples:
                continue
            kept = self._copy(sample, image, score)
            if image in self._examples:
                self._examples[image] = kept
            if bad:
                self._worst = sorted([*self._worst, kept], key=lambda one: one.score)[: self.worst]

    def collect(self) -> dict[str, list[KeptImage]]:
        """Return the kept images of all processes by ``worst`` and ``examples``, each once; every process has to call this.

        The lowest scores come first, the examples in the order of the data set.
        """
        parts = all_gather_object((self._worst, self._examples))
        worst = {kept.img_path: kept for part, _ in parts for kept in part}
        found = {path: kept for _, part in parts for path, kept in part.items() if kept is not None}
        return {
            "worst": sorted(worst.values(), key=lambda kept: kept.score)[: self.worst],
            "examples": [found[path] for path in self._examples if path in found],
        }

    def _copy(self, sample: BaseDataElement, image: str, score: float) -> KeptImage:
        truth, preds = (x.data.reshape(x.data.shape[-2:]).cpu().numpy() for x in (sample.gt_sem_seg, sample.pred_sem_seg))
        preds = np.minimum(preds, len(self.metric.names))
        maps = {TRUTH: truth.astype(np.int16), PREDICTION: preds.astype(np.int16)}
        return KeptImage(image, maps, None if np.isnan(score) else float(score))
