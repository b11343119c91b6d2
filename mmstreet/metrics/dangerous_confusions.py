"""The metric of dangerous confusions for the test loop of OpenMMLab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmstreet.files.confusion_scores import drop_background
from mmstreet.files.numbers import percent
from mmstreet.files.tables import markdown_table
from mmstreet.labels import STREET6, find_table
from mmstreet.metrics.danger import COUNTS, SIZES, count_objects, group_distances, mean_cost, safe_iou_per_class, safe_mean_iou
from mmstreet.metrics.functional import confusion_matrix, count_pairs, naming
from mmstreet.metrics.slices import ROWS, row_bands
from mmstreet.readback import Readback, on_host
from mmstreet.registry import METRICS

ROAD = "road"


@METRICS.register_module()
class DangerousConfusionMetric(BaseMetric):
    """Safe mIoU, cost of confusions, what is taken for road at which distance, and objects found or missed.

    Scalars: ``Safe_mIoU`` in per cent, ``cost`` where costs are given, ``recall/<class>`` and ``precision/<class>`` of objects in per cent.
    The rest is in :attr:`report`. The data set's classes have to be those of a known table, whose groups are the tree of classes and whose
    things (road users) are the important classes, unless both are given. On a GPU a batch is looked at with the next one, and its errors
    raise then, so that no batch waits.

    Args:
        important: Names of the important classes; default: the things of the class table.
        costs: Cost of each confusion, ``{truth: {prediction: cost}}`` by class name; confusions that are not named cost nothing.
        objects: Classes whose connected components are looked at; default: the six safety-critical classes, and where the data set does not
            have all of them the important ones too.
        ignore_index: Label of pixels that are not counted.
        prefix: Put before every scalar's name.
    """

    default_prefix = "danger"
    folder = "danger"

    def __init__(
        self,
        *,
        important: Sequence[str] | None = None,
        costs: Mapping[str, Mapping[str, float]] | None = None,
        objects: Sequence[str] | None = None,
        ignore_index: int = 255,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        self.important, self.costs, self.objects = important, costs, objects
        self.ignore_index = ignore_index
        self.report: dict | None = None
        self._waiting: list[tuple[str, Readback, Readback, dict]] = []

    def _read_classes(self) -> tuple[tuple[str, ...], list[str], list[int], list[int], bool]:
        """Return names, groups, ids of the important classes, ids of the objects' classes, and whether there is a background."""
        given = tuple((self.dataset_meta or {}).get("classes") or ())
        background = given[-1:] == ("background",)
        names = given[:-1] if background else given
        rows = (self.dataset_meta or {}).get("label_rows") or ()
        table = find_table({"classes": names, "label_rows": rows[: len(names)]})
        if table is None:
            raise ValueError("Safe mIoU needs groups of classes: give the data set a known class table, or rows with groups")
        important = self.important if self.important is not None else [label.name for label in table.labels if label.is_thing]
        six = [name for name in names if name in STREET6.names]
        default = six if len(six) == len(STREET6.names) else [name for name in names if name in (*six, *important)]
        objects = default if self.objects is None else self.objects
        for name in {*important, *objects, *(self.costs or {}), *(n for row in (self.costs or {}).values() for n in row)}:
            if name not in names:
                raise ValueError(f"there is no class '{name}'; the scored classes are {', '.join(names)}")
        ids = ([names.index(name) for name in chosen] for chosen in (important, objects))
        return names, [label.group for label in table.labels], *ids, background

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Count one batch.

        Args:
            data_batch: Not used.
            data_samples: One dict per image with ``pred_sem_seg`` and ``gt_sem_seg``, as for
                :class:`~mmstreet.metrics.semantic.StreetIoUMetric`.

        Raises:
            ValueError: If classes or labels cannot be used; the message names the file.
        """
        self.flush()
        names, *_, background = self._read_classes()
        rules = dict(num_classes=len(names), ignore_index=self.ignore_index, background=background)
        for sample in data_samples:
            where = str(sample.get("seg_map_path") or sample.get("img_path"))
            preds, labels = (sample[name]["data"] for name in ("pred_sem_seg", "gt_sem_seg"))
            preds, labels = preds.reshape(preds.shape[-2:]).to(torch.int64), labels.reshape(labels.shape[-2:]).to(preds.device)
            count = confusion_matrix if on_host(preds) else count_pairs
            with naming(where):
                bands = [count(labels[rows], preds[rows], **rules).flatten() for rows in row_bands(len(labels))]
            self._waiting.append((where, Readback(torch.stack(bands)), Readback(torch.stack([labels.int(), preds.int()])), rules))
            if on_host(preds):
                self.flush()

    def flush(self) -> None:
        """Look at the objects of the last batch, which a GPU may still have been computing, and add its counts to :attr:`results`.

        Raises:
            ValueError: As :meth:`process`, about that batch.
        """
        waiting, self._waiting = self._waiting, []
        objects = self._read_classes()[3] if waiting else []
        for where, bands, maps, rules in waiting:
            counts, (labels, preds), size = bands.read().numpy(), maps.read(), rules["num_classes"] + 1
            if counts[:, size * size :].any():
                with naming(where):
                    for rows in row_bands(len(labels)):
                        confusion_matrix(labels[rows], preds[rows], **rules)
            found = count_objects(labels.numpy(), preds.numpy(), objects, ignore_index=self.ignore_index)
            self.results.append((counts[:, : size * size].reshape(-1, size, size), found))

    def evaluate(self, size: int) -> dict[str, float]:
        """Look at the last batch and compute the scalars; see :class:`mmengine.evaluator.BaseMetric`."""
        self.flush()
        return super().evaluate(size)

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Add up the counts of all images, print the tables and return the scalars."""
        names, groups, important, objects, _ = self._read_classes()
        bands = drop_background(sum(counts for counts, _ in results))  # [3, C + 1, C + 1]
        found = sum(counts for _, counts in results)
        confusion, distances = bands.sum(0), group_distances(groups)
        safe = safe_iou_per_class(confusion, distances, important)
        rows = [{"class": names[label], **_score_objects(counts)} for label, counts in zip(objects, found)]
        metrics = {"Safe_mIoU": percent(safe_mean_iou(confusion, distances, important))}
        if self.costs is not None:
            costs = [[float(self.costs.get(truth, {}).get(name, 0)) for name in names] for truth in names]
            metrics["cost"] = mean_cost(confusion, np.array(costs))
        metrics |= {f"{kind}/{row['class']}": row[kind] for kind in ("recall", "precision") for row in rows}
        self.report = {
            "metrics": metrics,
            "important": [names[label] for label in important],
            "safe_iou": {name: percent(value) for name, value in zip(names, safe)},
            "taken_for_road": _list_taken(bands, names) if ROAD in names else [],
            "objects": rows,
        }
        print_log(format_danger(self.report), logger="current")
        return {name: value for name, value in metrics.items() if value is not None}

    def files(self) -> dict[str, dict | list]:
        """What a test run writes of the last evaluation."""
        return {"metrics.json": {"danger": {name: value for name, value in self.report.items() if name != "metrics"}}}


def _score_objects(counts: np.ndarray) -> dict:
    """Recall and precision over all sizes and of each, in per cent, and the counts."""

    def score(found: int, missed: int, confirmed: int, false_alarms: int) -> dict:
        recall, precision = (
            100 * good / (good + bad) if good + bad else None for good, bad in ((found, missed), (confirmed, false_alarms))
        )
        return {"recall": recall, "precision": precision, "objects": found + missed, "predicted": confirmed + false_alarms}

    sizes = {size: score(*row) for size, row in zip(SIZES, counts.tolist())}
    return {**score(*counts.sum(0).tolist()), **dict(zip(COUNTS, counts.sum(0).tolist())), "sizes": sizes}


def _list_taken(bands: np.ndarray, names: Sequence[str]) -> list[dict]:
    """Share of the pixels of each class that is predicted as road, per band of rows, in per cent; ``None`` without a pixel."""
    road = names.index(ROAD)
    pixels, taken = bands[:, :-1].sum(2), bands[:, :-1, road]  # [3, C]
    return [
        {
            "class": name,
            "pixels": int(taken[:, i].sum()),
            "share": {row: 100 * float(t) / float(p) if p else None for row, t, p in zip(ROWS, taken[:, i], pixels[:, i])},
        }
        for i, name in enumerate(names)
        if i != road and pixels[:, i].any()
    ]


def format_danger(report: Mapping) -> str:
    """Lay out the objects by size, and what is taken for road."""
    safe = report["metrics"]["Safe_mIoU"]
    lines = [f"dangerous confusions\nSafe mIoU {'n/a' if safe is None else f'{safe:.2f}'}; important: {', '.join(report['important'])}"]
    header = ["objects", "number", "recall", *(f"recall {size}" for size in SIZES), "predicted", "precision"]
    rows = [
        [row["class"], row["objects"], row["recall"], *(row["sizes"][size]["recall"] for size in SIZES), row["predicted"], row["precision"]]
        for row in report["objects"]
    ]
    lines.append(markdown_table(header, rows))
    if report["taken_for_road"]:
        taken = sorted(report["taken_for_road"], key=lambda row: -row["pixels"])
        lines.append(
            markdown_table(["taken for road, %", *ROWS, "pixels"], [[r["class"], *r["share"].values(), r["pixels"]] for r in taken])
        )
    return "\n".join(lines)
