"""The metric of instance segmentation for the test and validation loops of MMDetection."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmstreet.deps import require
from mmstreet.files import ap_draws
from mmstreet.files.ap_draws import ApDraws
from mmstreet.files.image_confusions import DRAWS, LEVEL, interval
from mmstreet.metrics.ap_intervals import bootstrap_ap, draw_protocols
from mmstreet.metrics.average_precision import match_image
from mmstreet.metrics.instance_summary import PROTOCOLS, flatten_scores, format_report, list_curves, list_scores, summarize_matches
from mmstreet.metrics.mask_overlaps import Predictions, Truth, bitmask_overlaps, coco_overlaps, encode_masks
from mmstreet.registry import METRICS

IMAGE_ATTRIBUTES = ("weather", "scene", "timeofday")
INSTANCE_FLAGS = ("occluded", "truncated")


@METRICS.register_module()
class BDD100KInsMetric(BaseMetric):
    """Average precision of masks by two protocols side by side, COCO's and BDD100K's bitmask protocol, in per cent.

    :mod:`mmstreet.metrics.mask_overlaps` says how the protocols differ. Scalars for ``coco`` and ``bitmask`` alike: ``coco/AP``,
    ``coco/AP50``, ``coco/AP75``, ``coco/APs``, ``coco/APm``, ``coco/APl``, and per class ``coco/AP/car`` and ``coco/AP50/car``. ``coco/*``
    equal pycocotools to the last bit when it is given the same masks. ``coco/mAP@0.5`` is another thing than ``AP50``: the mean over
    images of each image's own average precision, classes pooled, which Matterport's Mask R-CNN notebooks print under this name.
    A value that cannot be measured, such as the AP of small trains where there are none, is n/a in the table, ``None`` in :attr:`report`
    and not among the scalars: there is no −1.

    An image is matched when its batch comes in and only its matches are kept. Samples that a distributed sampler repeats to fill its last
    batch are counted once, and the result does not depend on the number of processes.

    The labels come with the samples, so there is no second path to a label file: let ``PackDetInputs`` of the test pipeline have
    ``'instances'`` and, for a breakdown, the attributes among its ``meta_keys``; see :class:`mmstreet.datasets.ins_seg.BDD100KInsSeg`.

    Args:
        by: What to break the scores down by. ``'weather'``, ``'scene'``, ``'timeofday'``: the images of each value by themselves, as
            ``coco/AP/weather=rainy``. ``'occluded'``, ``'truncated'``: over all images, instances of the other kind do not count.
        collect_device: ``'cpu'`` or ``'gpu'``: how the matches of several processes come together.
        prefix: Put before every scalar's name, to tell two of these metrics apart.
        collect_dir: Shared folder for ``collect_device='cpu'``; default: ``.dist_test`` in the working directory.

    Raises:
        ValueError: If ``by`` names something else.
    """

    default_prefix = ""
    folder = "instances"
    """Where a test run writes to if another metric has taken the folder of the results."""

    def __init__(
        self, *, by: Sequence[str] = (), collect_device: str = "cpu", prefix: str | None = None, collect_dir: str | None = None
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        by = (by,) if isinstance(by, str) else tuple(by)
        unknown = [name for name in by if name not in IMAGE_ATTRIBUTES + INSTANCE_FLAGS]
        if unknown:
            raise ValueError(f"by={unknown[0]!r} is unknown; choose among {', '.join(IMAGE_ATTRIBUTES + INSTANCE_FLAGS)}")
        self.by = by
        self.report: dict | None = None
        """Result of the last evaluation on the main process: ``protocols`` (name to what
        :func:`~mmstreet.metrics.instance_summary.summarize_matches` returns), ``by`` (attribute, value, protocol to the same without the
        curve and with the ``interval`` of the AP), ``per_class`` of the COCO protocol, ``metrics`` (every scalar, ``None`` where n/a),
        ``classes``, and ``intervals``: ``[low, high]`` in per cent by score, see :func:`~mmstreet.metrics.ap_intervals.bootstrap_ap`."""
        self.draws: ApDraws | None = None
        """The scores that the intervals come from, of the last evaluation on the main process."""

    @property
    def names(self) -> tuple[str, ...]:
        """The classes of the data set.

        Raises:
            ValueError: If it names none.
        """
        names = tuple((self.dataset_meta or {}).get("classes") or ())
        if not names:
            raise ValueError("the data set names no classes; set metainfo=dict(classes=...) there")
        return names

    def files(self) -> dict[str, dict | list]:
        """What a test run writes of the last evaluation: content of JSON files, rows of CSV files and arrays of NPZ files by file name."""
        content = {name: self.report[name] for name in ("protocols", "by", "classes", "intervals")}
        return {
            "metrics.json": {"evaluation": content},
            "per_class_ap.csv": list_scores(self.report),
            "precision_recall.csv": list_curves(self.report),
            ap_draws.FILE: self.draws.arrays(),
        }

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Match the predictions of one batch.

        Args:
            data_batch: Not used.
            data_samples: One dict per image with ``img_id``, ``ori_shape``, ``pred_instances`` (``labels``, ``scores``, ``masks`` and
                perhaps ``mask_scores``), ``instances`` (the labels) and the attributes named by ``by``.

        Raises:
            ValueError: If a sample has no labels, no masks, masks of another size, scores that are not finite or classes that the data
                set has not, or lacks an attribute; the message names the image.
        """
        num_classes = len(self.names)
        for sample in data_samples:
            try:
                truth, predictions = self._read_truth(sample), _read_predictions(sample, num_classes)
                values = {name: str(_need(sample, name)) for name in self.by if name in IMAGE_ATTRIBUTES}
            except ValueError as error:
                raise ValueError(f"{sample.get('img_path') or sample.get('img_id')}: {error}") from error
            overlaps = (coco_overlaps(truth, predictions), bitmask_overlaps(truth, predictions))
            matches: dict[Any, dict[str, list]] = {}
            for protocol, image in zip(PROTOCOLS, overlaps):
                matches.setdefault(None, {})[protocol] = match_image(image, num_classes=num_classes)
                for flag, wanted in ((flag, wanted) for flag in truth.flags for wanted in (True, False)):
                    counted = image.truth.flags[flag] == wanted
                    matches.setdefault((flag, str(wanted).lower()), {})[protocol] = match_image(
                        image, num_classes=num_classes, counted=counted
                    )
            self.results.append((sample["img_id"], values, matches))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Put the matches of all images together, print the table and return the scalars.

        Args:
            results: One ``(img_id, attributes, matches)`` per image.

        Raises:
            ValueError: If not one instance of the whole split counts.
        """
        names = self.names
        # pycocotools looks at images in the order of their ids, which decides between equal scores.
        results = sorted(results, key=lambda result: result[0])
        matched = {protocol: [matches[None][protocol] for *_, matches in results] for protocol in PROTOCOLS}
        protocols = {protocol: summarize_matches(images, names) for protocol, images in matched.items()}
        if not protocols["coco"]["instances"]:
            raise ValueError(
                f"none of the {len(results)} images has an instance that counts: they have no labels, or all are ignored or crowds; "
                "check ann_file and the classes of the data set"
            )
        by = {name: self._break_down(name, results) for name in self.by}
        self.draws = draw_protocols([image for image, *_ in results], matched, names)
        limits = dict(zip(self.draws.names, map(interval, self.draws.scores)))
        self.report = {
            "protocols": protocols,
            "by": by,
            "per_class": protocols["coco"]["per_class"],
            "metrics": flatten_scores(protocols, by),
            "classes": list(names),
            "intervals": {"level": LEVEL, "draws": DRAWS, "images": len(results), "scores": limits},
        }
        print_log(f"mask AP in per cent on {len(results)} images\n{format_report(self.report)}", logger="current")
        return {name: value for name, value in self.report["metrics"].items() if value is not None}

    def _break_down(self, name: str, results: list) -> dict[str, dict[str, dict]]:
        groups: dict[str, list[dict]] = {}
        for _, values, matches in results:
            if name in INSTANCE_FLAGS:
                for wanted in ("true", "false"):
                    groups.setdefault(wanted, []).append(matches[name, wanted])
            else:
                groups.setdefault(values[name], []).append(matches[None])
        return {value: {p: self._summarize_part([matches[p] for matches in groups[value]]) for p in PROTOCOLS} for value in sorted(groups)}

    def _summarize_part(self, images: list) -> dict:
        """As :func:`~mmstreet.metrics.instance_summary.summarize_matches`, without the curve and with the ``interval`` of the AP."""
        summary = {name: value for name, value in summarize_matches(images, self.names).items() if name != "curve"}
        return summary | {"interval": interval(bootstrap_ap(images, self.names)["AP"])}

    def _read_truth(self, sample: Mapping) -> Truth:
        """Take the labels of an image, in MMDetection's form."""
        coding = require("pycocotools.mask", extra="instances")
        instances, size_hw = _need(sample, "instances"), tuple(sample["ori_shape"][:2])
        missing = sum("mask" not in instance for instance in instances)
        if missing:
            raise ValueError(f"{missing} of its {len(instances)} labels have no mask; score boxes with mmdet.CocoMetric(metric='bbox')")
        masks = [_as_rle(instance["mask"], size_hw, coding) for instance in instances]
        _check_sizes(masks, size_hw, "labels")
        flags = [flag for flag in self.by if flag in INSTANCE_FLAGS]
        if any(flag not in instance for flag in flags for instance in instances):
            raise ValueError(f"its labels do not say whether they are {' or '.join(flags)}; load them with mmstreet.BDD100KInsSeg")
        return Truth(
            np.array([instance["bbox_label"] for instance in instances], np.int64),
            masks,
            np.array([instance.get("area", coding.area(mask)) for instance, mask in zip(instances, masks)], np.float64),
            np.array([instance.get("ignore_flag", 0) for instance in instances], bool),
            {flag: np.array([instance[flag] for instance in instances], bool) for flag in flags},
        )


def _need(sample: Mapping, key: str) -> Any:
    if key not in sample:
        raise ValueError(f"the sample has no '{key}'; add it to meta_keys of PackDetInputs in the pipeline of this data set")
    return sample[key]


def _read_predictions(sample: Mapping, num_classes: int) -> Predictions:
    """Take the prediction for an image; masks are a tensor ``[D, H, W]`` or a list of COCO run-length masks."""
    predictions = sample["pred_instances"]
    if "masks" not in predictions:
        raise ValueError("the prediction has no masks; this metric is for instance segmentation")
    masks, size_hw = predictions["masks"], tuple(sample["ori_shape"][:2])
    if isinstance(masks, torch.Tensor | np.ndarray):
        masks = encode_masks(torch.as_tensor(masks).bool().cpu().numpy())
    _check_sizes(masks, size_hw, "prediction")
    scores = predictions["mask_scores"] if "mask_scores" in predictions else predictions["scores"]
    labels, scores = (torch.as_tensor(values).cpu().numpy() for values in (predictions["labels"], scores))
    if not np.isfinite(scores).all():
        raise ValueError("the prediction has scores that are not finite; the weights of the model are broken")
    if len(labels) and not 0 <= labels.min() <= labels.max() < num_classes:
        raise ValueError(f"the prediction has class ids {labels.min()} … {labels.max()}, but the data set has {num_classes} classes")
    return Predictions(labels.astype(np.int64), scores.astype(np.float64), list(masks))


def _as_rle(mask: Any, size_hw: tuple[int, int], coding: Any) -> dict:
    if isinstance(mask, list):
        return coding.merge(coding.frPyObjects(mask, *size_hw))
    return coding.frPyObjects(mask, *mask["size"]) if isinstance(mask["counts"], list) else mask


def _check_sizes(masks: Sequence[Mapping], size_hw: tuple[int, int], whose: str) -> None:
    other = next((mask["size"] for mask in masks if tuple(mask["size"]) != size_hw), None)
    if other is not None:
        raise ValueError(f"a mask of the {whose} has {list(other)} (height, width), the original image has {list(size_hw)}")
