"""The metric of semantic segmentation for the test and validation loops of OpenMMLab."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log

from mmstreet.files import confusion_scores as S
from mmstreet.files import image_confusions
from mmstreet.files.image_confusions import ImageConfusions
from mmstreet.labels import LabelTable, find_table, get_table
from mmstreet.metrics import functional as F
from mmstreet.metrics.instance_weighted import InstanceWeigher
from mmstreet.metrics.slices import Slice, Slicer, format_slices, list_slices, summarize_slices
from mmstreet.metrics.summary import format_summary, summarize, summarize_images
from mmstreet.readback import Readback, on_host
from mmstreet.registry import METRICS

SCOPES = ("labelled", "scene")
BACKGROUND = "background"


@METRICS.register_module()
class StreetIoUMetric(BaseMetric):
    """Per-class IoU and accuracy, their means, and the confusion matrix, from exact counts.

    Scalars, in per cent, under mmseg's names where mmseg has one: ``mIoU``, ``aAcc`` (pixel accuracy), ``mAcc`` (mean class accuracy),
    ``fwIoU`` (weighted by true pixels), ``IoU/<class>`` and ``Acc/<class>``. With a known class table also ``catIoU`` (mean over the
    groups flat, construction, …). ``IoU_common``, ``IoU_medium``, ``IoU_rare`` are means over the classes with at least 5 %, between, and
    less than 0.5 % of the scored pixels of this set.
    A value that cannot be measured, such as the IoU of an absent class, is n/a in the table, ``None`` in :attr:`report` and not among the
    scalars, so that a log is valid JSON and no absent class shows as 0.

    Every image adds one int64 confusion matrix; predictions are not kept. Samples that a distributed sampler repeats to fill its last
    batch are counted once. On a GPU the counts of a batch are read with the next one, and its errors raise then, so that no batch waits.

    **Scope.** A model of the six classes is trained on pixels of the six only; the rest of the scene is ignored. ``scope='labelled'``
    scores it on those pixels, and a false alarm on the road costs nothing. ``scope='scene'`` scores it over the whole scene: the data set
    then says where the rest of the scene is, as its last class, "background", and a class predicted there is a false alarm that lowers
    that class's IoU. In the config of a test set of BDD100K::

        pipeline=[..., dict(type='mmstreet.RemapLabels', source='bdd100k_sem19', target='street6_background', unlisted='background')],
        table='street6_background'                                     # in the data set; the model keeps its six classes
        test_evaluator = dict(type='mmstreet.StreetIoUMetric', scope='scene')

    Pixels that nobody labelled stay ``ignore_index`` and count in neither scope. Under ``'scene'`` background is no class: it has no IoU
    and enters no mean, and in ``aAcc`` a background pixel is right when predicted as none of the classes. A model with a background class
    of its own is scored by the same rule, so the two models' numbers compare; ``'labelled'`` scores that model's background as a class.

    Args:
        table: Class table whose classes are scored: a name of :mod:`mmstreet.labels`, or rows. The data set has the same classes, and after
            them perhaps "background", whose pixels ``'labelled'`` then leaves out. Default: the classes of the data set, with the groups
            of the table that has the same names, if there is one.
        by: What to break the scores down by, in :attr:`report` under ``slices``. ``'brightness'`` and ``'sharpness'`` (thirds of the
            images, measured on them as the network gets them), ``'row'`` (thirds of the image rows, the upper far and the lower near),
            ``'share/<class>'`` (thirds of the images by the share of a class), or an attribute of the file ``attributes``, such as
            ``'weather'``, ``'scene'``, ``'timeofday'``. An image without a value is in the slice "unknown".
        attributes: Scalabel JSON or CSV with the attributes of images; see :class:`~mmstreet.formats.image_attributes.ImageAttributes`.
        instances: For ``iIoU``, ``catiIoU`` and ``iIoU/<class>``, Cityscapes' instance-weighted IoU: a part of the path of a label file and
            what stands there in the path of its instance map, ``('_labelIds.png', '_instanceIds.png')`` of Cityscapes or
            ``('sem_seg/masks', 'ins_seg/bitmasks')`` of BDD100K; see :mod:`mmstreet.metrics.instance_weighted`.
        instance_sizes: Mean pixels of an instance by class, or ``'cityscapes'`` for those of its evaluation script; by default those of
            the test set.
        convention: Which classes are absent from the means. ``'mmseg'``: those neither labelled nor predicted. ``'bdd100k'``: those not
            labelled, as in the BDD100K toolkit. (Its "Acc" is a precision; ``Acc`` here is mmseg's recall under both conventions.)
        scope: ``'labelled'`` or ``'scene'``.
        ignore_index: Label of pixels that are not counted.
        collect_device: ``'cpu'`` or ``'gpu'``: how the counts of several processes come together.
        prefix: Put before every scalar's name, to tell two of these metrics apart.
        collect_dir: Shared folder for ``collect_device='cpu'``; default: ``.dist_test`` in the working directory.

    Raises:
        ValueError: If ``convention``, ``scope`` or an attribute is unknown, or the file of attributes cannot be used.
        KeyError: If there is no such table.
    """

    default_prefix = ""
    folder = "semantic"
    """Where a test run writes to if another metric has taken the folder of the results."""

    def __init__(
        self,
        *,
        table: str | None = None,
        by: Sequence[str] = (),
        attributes: str | None = None,
        instances: Sequence[str] | None = None,
        instance_sizes: str | Mapping[str, float] | None = None,
        convention: str = "mmseg",
        scope: str = "labelled",
        ignore_index: int = 255,
        collect_device: str = "cpu",
        prefix: str | None = None,
        collect_dir: str | None = None,
    ) -> None:
        super().__init__(collect_device=collect_device, prefix=prefix, collect_dir=collect_dir)
        if convention not in S.CONVENTIONS:
            raise ValueError(f"unknown convention '{convention}'; choose one of {', '.join(S.CONVENTIONS)}")
        if scope not in SCOPES:
            raise ValueError(f"unknown scope '{scope}'; choose one of {', '.join(SCOPES)}")
        self.slicer = Slicer(by, attributes)
        self.weigher = InstanceWeigher(instances, instance_sizes) if instances is not None else None
        self.table = get_table(table) if table is not None else None
        self.convention = convention
        self.scope = scope
        self.ignore_index = ignore_index
        self.report: dict | None = None
        """Result of the last evaluation on the main process: what :func:`~mmstreet.metrics.summary.summarize` and
        :func:`~mmstreet.metrics.summary.summarize_images` return, and ``images``, the worst first, each with ``img_path`` and ``mIoU``."""
        self.by_image: ImageConfusions | None = None
        """Counts of each image of the last evaluation."""
        self.slices: dict[str, list[Slice]] = {}
        """Slices of the last evaluation by attribute."""
        self._waiting: tuple[Readback, list[tuple]] | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The scored classes.

        Raises:
            ValueError: If neither a table nor the data set names them, or the two disagree.
        """
        given = tuple((self.dataset_meta or {}).get("classes") or ())
        if self.table is None:
            if not given:
                raise ValueError("the data set names no classes; set metainfo=dict(classes=...) there or table=... in StreetIoUMetric")
            return given[:-1] if self.scope == "scene" and given[-1] == BACKGROUND else given
        if given and given not in (self.table.names, (*self.table.names, BACKGROUND)):
            raise ValueError(
                f"StreetIoUMetric scores the classes of table '{self.table.name}' ({', '.join(self.table.names)}), but the data set has: "
                f"{', '.join(given)}; remap the data set or name the table that it follows"
            )
        return self.table.names

    def _find_table(self) -> LabelTable | None:
        rows = (self.dataset_meta or {}).get("label_rows") or ()
        return self.table or find_table({"classes": self.names, "label_rows": rows[: len(self.names)]})

    @property
    def counts_background(self) -> bool:
        """Whether the true id after the last class is background, not an error."""
        return self.scope == "scene" or tuple((self.dataset_meta or {}).get("classes") or ())[len(self.names) :] == (BACKGROUND,)

    def files(self) -> dict[str, dict | list]:
        """What a test run writes of the last evaluation: content of JSON files, rows of CSV files and arrays of NPZ files by file name."""
        classes = ("class", "IoU", "Acc", "Precision", "truth_pixels", "predicted_pixels", "group", "frequency")
        limits = [self.report["intervals"]["scores"][f"IoU/{row['class']}"] or (None, None) for row in self.report["per_class"]]
        rows = [(*(row[name] for name in classes), *between) for row, between in zip(self.report["per_class"], limits)]
        return {
            "metrics.json": {"evaluation": {name: value for name, value in self.report.items() if name not in ("metrics", "images")}},
            "per_class.csv": [(*classes, "IoU_low", "IoU_high"), *rows],
            "per_image.csv": [("img_path", "mIoU"), *((image["img_path"], image["mIoU"]) for image in self.report["images"])],
            image_confusions.FILE: self.by_image.arrays(),
            **({"slices.csv": list_slices(self.report["slices"], self.names)} if self.report["slices"] else {}),
        }

    def process(self, data_batch: object, data_samples: Sequence[dict]) -> None:
        """Count the pixels of one batch.

        Args:
            data_batch: ``inputs``, one image per sample, for what ``by`` measures on them; else not used.
            data_samples: One dict per image with ``pred_sem_seg`` and ``gt_sem_seg``, each with class ids under ``data``, ``[1, H, W]`` or
                ``[H, W]``, and, for messages and rankings, ``img_path`` and ``seg_map_path``.

        Raises:
            ValueError: If a sample has no labels, or labels that cannot be scored, and the message names the file; if a class of ``by`` is
                unknown.
        """
        self.flush()
        names, background = self.names, self.counts_background
        rules = dict(num_classes=len(names), ignore_index=self.ignore_index, background=background)
        counted: list[torch.Tensor] = []
        images: list[tuple] = []
        self.slicer.check_classes(names)
        inputs = data_batch["inputs"] if self.slicer.needs_images else [None] * len(data_samples)
        for sample, pixels in zip(data_samples, inputs, strict=True):
            image = str(sample.get("img_path") or f"image {len(self.results) + len(images)}")
            if "gt_sem_seg" not in sample:
                raise ValueError(f"{image} has no labels to score against; add LoadAnnotations to the pipeline of this data set")
            preds, labels = sample["pred_sem_seg"]["data"], sample["gt_sem_seg"]["data"]
            preds, labels = preds.reshape(preds.shape[-2:]), labels.reshape(labels.shape[-2:]).to(preds.device)
            if preds.is_floating_point():  # mmseg's answer of a one-channel head: 0.0 and 1.0
                preds = preds.to(torch.int64)
            count = F.confusion_matrix if on_host(preds) else F.count_pairs
            where = sample.get("seg_map_path") or image
            with F.naming(where):
                counts = count(labels, preds, **rules)
            counted.append(counts.flatten())
            measured = self.slicer.measure(pixels, labels, preds, rules)
            if self.weigher is not None:
                maps = (ids.cpu().numpy() for ids in (labels, preds))
                measured |= self.weigher.measure(sample.get("seg_map_path"), *maps, names=names, table=self._find_table())
            images.append((image, measured, (where, labels, preds, rules)))
        if images:
            self._waiting = Readback(torch.stack(counted)), images
            if on_host(counted[0]):
                self.flush()

    def flush(self) -> None:
        """Add the counts of the last batch, which a GPU may still have been computing, to :attr:`results`.

        Raises:
            ValueError: As :meth:`process`, about that batch.
        """
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        counted, size = waiting[0].read().numpy(), len(self.names) + 1
        for counts, (image, measured, (where, labels, preds, rules)) in zip(counted, waiting[1]):
            if counts[size * size :].any():
                with F.naming(where):
                    F.confusion_matrix(labels.cpu(), preds.cpu(), **rules)
            for name, value in measured.items():
                if isinstance(value, Readback):
                    measured[name] = value.read().numpy()[:, :-1].reshape(-1, size, size)
            self.results.append((image, counts[: size * size].reshape(size, size).copy(), measured))

    def evaluate(self, size: int) -> dict[str, float]:
        """Add the counts of the last batch and compute the scalars; see :class:`mmengine.evaluator.BaseMetric`."""
        self.flush()
        return super().evaluate(size)

    def score_image(self, confusion: np.ndarray) -> float:
        """Return the mIoU of one image, in per cent, by the same convention and scope; nan for an image without a scored pixel."""
        scored = S.drop_background(confusion) if self.scope == "labelled" else confusion
        return 100 * S.mean_present(S.iou_per_class(scored, convention=self.convention))

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Sum the counts of all images, print the table and return the scalars.

        Args:
            results: One ``(img_path, confusion, measured)`` per image, the last by name of the attribute.

        Raises:
            ValueError: If not one pixel of the whole split can be scored.
        """
        names, table = self.names, self._find_table()
        confusion = sum((counts for _, counts, _ in results), np.zeros((len(names) + 1, len(names) + 1), np.int64))
        report = summarize(confusion, names, table=table, convention=self.convention, scope=self.scope)
        if report["metrics"]["mIoU"] is None:
            raise ValueError(
                f"none of the {len(results)} images has a pixel of a scored class: every label is ignore_index={self.ignore_index} or "
                "background; check the label folder and the class map"
            )
        if self.scope == "scene" and not confusion[-1].any():
            raise ValueError(
                f"scope='scene', but not one pixel of the {len(results)} images is background (id {len(names)}); let the data set name it "
                "with RemapLabels(target='street6_background', unlisted='background'), or use scope='labelled'"
            )
        scores = sorted(((image, self.score_image(counts)) for image, counts, _ in results), key=lambda x: (np.isnan(x[1]), x[1]))
        self.by_image = ImageConfusions([image for image, _, _ in results], np.array([counts for _, counts, _ in results]))
        report |= summarize_images(self.by_image.scored(self.scope), names, table=table, convention=self.convention)
        report["images"] = [{"img_path": image, "mIoU": None if np.isnan(score) else score} for image, score in scores]
        self.slices = self.slicer.cut(self.by_image, [values for _, _, values in results], names, scope=self.scope)
        report["slices"] = {name: summarize_slices(parts, names, convention=self.convention) for name, parts in self.slices.items()}
        if self.weigher is not None:
            self.weigher.add_scores(report, [values for _, _, values in results], self.by_image.scored(self.scope), table=table)
        self.report = report
        text = f"{format_summary(report)}\n{format_slices(report['slices'], names)}".rstrip()
        print_log(f"results on {len(results)} images ({self.scope} pixels)\n{text}", logger="current")
        return {name: value for name, value in report["metrics"].items() if value is not None}
