"""Instance segmentation data set for MMDetection: BDD100K's eight classes, straight from COCO or Scalabel JSON."""

from __future__ import annotations

import logging
import os.path as osp
import re
from collections.abc import Sequence
from pathlib import Path

from mmdet.datasets import CocoDataset
from mmengine.fileio import get_local_path
from mmengine.logging import print_log

from mmstreet.files.rle import encode_counts
from mmstreet.files.text import check_encoding
from mmstreet.formats.coco import CocoReader
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.records import IMAGE_ATTRIBUTES, ImageRecord, InstanceRecord, read_images
from mmstreet.formats.scalabel import ScalabelReader
from mmstreet.labels import BDD100K_INS8
from mmstreet.registry import DATASETS

_FIRST_KEYS = {
    "coco": ("info", "licenses", "images", "annotations", "categories", "type"),
    "scalabel": ("frames", "groups", "config", "name", "attributes", "timestamp", "labels"),
}


def detect_format(path: str | Path) -> str:
    """Tell ``'coco'`` from ``'scalabel'`` by how a JSON file begins; a list or a folder of JSON files is Scalabel.

    Raises:
        FileNotFoundError: If there is nothing at ``path``.
        ValueError: If it is neither.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no labels at {path}: expected COCO or Scalabel JSON")
    if path.is_dir():
        return "scalabel"
    check_encoding(path)
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        head = file.read(4096)
    if re.match(r"\s*\[", head):
        return "scalabel"
    key = re.match(r"""\s*\{\s*["']([^"']*)["']""", head)
    for name, keys in _FIRST_KEYS.items():
        if key and key[1] in keys:
            return name
    found = f"begins with the key '{key[1]}'" if key else "is no JSON object or list"
    raise ValueError(f"{path} {found}; if it is COCO or Scalabel JSON, say so with ann_format='coco' or ann_format='scalabel'")


@DATASETS.register_module()
class BDD100KInsSeg(CocoDataset):
    """BDD100K's eight instance classes, from a COCO instances file or from Scalabel JSON as it is published.

    Every label becomes an instance or is counted in :attr:`report`, which is logged: nothing is lost silently. Masks are COCO run
    lengths, and boxes are those around the masks. Ignored instances and crowds are kept with ``ignore_flag=1``, so training does not
    learn them as background and an evaluation does not count them; ``mmdet.CocoDataset`` drops the ignored ones.

    Beside MMDetection's keys an image has ``weather``, ``scene`` and ``timeofday`` (``'undefined'`` where a file does not say), and an
    instance ``area``, ``truncated``, ``occluded``, ``crowd``, ``ignored`` and ``scalabel_id``. They
    reach the metainfo of a sample where the pipeline asks for them::

        dict(type='mmdet.PackDetInputs', meta_keys=(
            'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'instances', 'weather', 'scene', 'timeofday'))

    which is what ``mmstreet.BDD100KInsMetric`` needs. Image ids are those of a COCO file; the images of a Scalabel file are numbered from
    1, as ``mmstreet convert`` does. Polygons are filled when the file is read, which takes a while for a large split: convert
    it to COCO once and train on that.

    Args:
        ann_file: COCO JSON, Scalabel JSON, or a folder with one Scalabel file per image; relative to ``data_root`` or absolute.
        data_root: Folder that the other paths are relative to.
        data_prefix: ``dict(img=...)``, the image folder; the names in the labels are relative to it.
        ann_format: ``'coco'`` or ``'scalabel'``; None looks at the beginning of the file.
        with_masks: Leave out instances that have only a box, and count them. False keeps them, for training detectors.
        check_images: Compare the size of every image with its labels when the labels are read; an image that is missing, unreadable or
            of another size is left out and counted, instead of stopping the training in the middle.
        strict: Stop at the first label or image that cannot be used, instead of counting it.
        filter_cfg: ``filter_empty_gt=True`` leaves out training images on which nothing counts, ``min_size`` small ones.
        pipeline: Transforms.
        indices: The first so many images, or the chosen ones.
        test_mode: Keep images without labels; a transform that gives up on an image is an error, and no other image takes its place.
        lazy_init: Read the labels at first use.
        serialize_data: Keep the list of images as one array that worker processes share.
        max_refetch: How many other images are tried in the place of one that was skipped.
        backend_args: File backend of MMEngine, for labels and images that are not on a disk of this machine; their sizes are not checked.

    Raises:
        FileNotFoundError: If there are no labels.
        ValueError: If the labels are malformed as a whole, not one image can be used, or, with ``strict``, one cannot.
    """

    METAINFO = {"classes": BDD100K_INS8.names, "palette": [tuple(color) for color in BDD100K_INS8.palette]}

    def __init__(
        self,
        *,
        ann_file: str,
        data_root: str = "",
        data_prefix: dict | None = None,
        ann_format: str | None = None,
        with_masks: bool = True,
        check_images: bool = True,
        strict: bool = False,
        filter_cfg: dict | None = None,
        pipeline: Sequence = (),
        indices: int | Sequence[int] | None = None,
        test_mode: bool = False,
        lazy_init: bool = False,
        serialize_data: bool = True,
        max_refetch: int = 1000,
        backend_args: dict | None = None,
    ):
        if ann_format not in (None, *_FIRST_KEYS):
            raise ValueError(f"ann_format must be 'coco', 'scalabel' or None, not {ann_format!r}")
        if data_prefix is not None and set(data_prefix) != {"img"}:
            raise ValueError(f"data_prefix must be dict(img='image folder'), got {data_prefix!r}")
        self.ann_format = ann_format
        self.with_masks = with_masks
        self.check_images = check_images
        self.strict = strict
        self.report: ConversionReport | None = None
        """What became of the labels, once they are read."""
        super().__init__(
            ann_file=ann_file,
            data_root=data_root,
            data_prefix=data_prefix or {"img": ""},
            filter_cfg=filter_cfg,
            pipeline=list(pipeline),
            indices=indices,
            test_mode=test_mode,
            lazy_init=lazy_init,
            serialize_data=serialize_data,
            max_refetch=max_refetch,
            backend_args=backend_args,
        )

    def load_data_list(self) -> list[dict]:
        """Read all labels, say what could not be used, and return one entry per image in the order of the file."""
        self.report = report = ConversionReport(strict=self.strict, source=self.ann_file)
        image_root = Path(self.data_prefix["img"]) if self.check_images and self.backend_args is None else None
        data: list[dict] = []
        with get_local_path(self.ann_file, backend_args=self.backend_args) as path:
            is_coco = (self.ann_format or detect_format(path)) == "coco"
            reader = (CocoReader if is_coco else ScalabelReader)(Path(path), BDD100K_INS8, image_root)
            for image in read_images(reader, report):
                data.append(self._describe_image(image, len(data) + 1 if image.source_id is None else image.source_id))
        report.check()
        self._log_report(data)
        self.cat_ids = [label.raw_id for label in BDD100K_INS8.labels]
        self.cat2label = {label.raw_id: label.train_id for label in BDD100K_INS8.labels}
        # MMDetection's filter_empty_gt asks which images have an instance of a class; an ignored one does not train it.
        self.cat_img_map = {
            raw_id: [info["img_id"] for info in data if any(_trains(x, label) for x in info["instances"])]
            for raw_id, label in self.cat2label.items()
        }
        return data

    def _describe_image(self, image: ImageRecord, img_id: int | str) -> dict:
        """Return MMDetection's entry for an image, and count its instances."""
        kept = []
        for instance in image.instances:
            if instance.counts is None and self.with_masks:
                sentence = f"image '{image.name}', label {instance.source_id}: has a box but no mask"
                self.report.skip_instance("box without a mask", sentence)
            else:
                kept.append(_describe_instance(instance, image.size_hw))
        self.report.images_out += 1
        self.report.instances_out += len(kept)
        attributes = {name: image.attributes.get(name) or "undefined" for name in IMAGE_ATTRIBUTES}
        path = osp.join(self.data_prefix["img"], image.name)
        size = {"height": image.size_hw[0], "width": image.size_hw[1]}
        return {"img_id": img_id, "img_path": path, "seg_map_path": None, **size, **attributes, "instances": kept}

    def _log_report(self, data: list[dict]) -> None:
        report = self.report
        if not data:
            raise ValueError(f"not one image of {self.ann_file} can be used:\n{report}")
        if report.instances_in and not report.instances_out:
            boxes = report.skipped_instances["box without a mask"]
            hint = "; these are labels for detection, give with_masks=False to train on boxes" if boxes else ""
            raise ValueError(f"not one label of {self.ann_file} can be used{hint}:\n{report}")
        level = logging.WARNING if report.skipped_images or report.skipped_instances else logging.INFO
        print_log(f"{self.ann_file}\n{report}", logger="current", level=level)


def _trains(instance: dict, label: int) -> bool:
    return instance["bbox_label"] == label and not instance["ignore_flag"]


def _describe_instance(instance: InstanceRecord, size_hw: tuple[int, int]) -> dict:
    x, y, width, height = instance.bbox
    described = {
        "bbox": [x, y, x + width, y + height],
        "bbox_label": next(label.train_id for label in BDD100K_INS8.labels if label.raw_id == instance.category_id),
        "ignore_flag": int(instance.crowd or instance.ignored),
        "area": instance.area,
        **instance.flags,
        "scalabel_id": instance.source_id,
    }
    if instance.counts is not None:
        described["mask"] = {"size": list(size_hw), "counts": encode_counts(instance.counts)}
    return described
