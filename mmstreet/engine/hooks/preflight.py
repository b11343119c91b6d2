"""The check before the first iteration."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from mmstreet.engine import run_checks
from mmstreet.engine.errors import PreflightError
from mmstreet.engine.processes import decide_on_main
from mmstreet.files.dataset_parts import dataset_parts
from mmstreet.registry import HOOKS


@HOOKS.register_module()
class PreflightHook(Hook):
    """Stop with one sentence before iteration 1 when model, losses, data and metric contradict each other.

    Checked are: that labels leave the pipeline in the classes that the dataset names; as many classes in each head as in the dataset; the
    order of the classes, against the class table of the same names, the validation set and the resumed checkpoint; one ignored label in
    heads, losses, padding, datasets and metrics; one class weight per class; and a sample of the label files, read as training reads
    them, for ids that are no class. mmdet's heads and boxes likewise, as far as the words apply.

    Args:
        num_label_files: Label files to read, spread evenly over the training set; 0 reads none.
        other_heads: Heads that predict something else than the dataset's classes, e.g. ``("auxiliary_head.1",)`` for an edge head.
    """

    priority = "VERY_HIGH"

    def __init__(self, *, num_label_files: int = 16, other_heads: Sequence[str] = ()) -> None:
        if num_label_files < 0:
            raise ValueError(f"num_label_files must not be negative, but is {num_label_files}")
        self.num_label_files = num_label_files
        self.other_heads = tuple(other_heads)
        self._resumed_classes: Sequence[str] | None = None

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        """Note the classes of a checkpoint."""
        self._resumed_classes = (checkpoint.get("meta", {}).get("dataset_meta") or {}).get("classes")

    def before_train(self, runner: Runner) -> None:
        """Check on the main process, and stop all processes together."""
        decide_on_main(lambda: self._check(runner))

    def _check(self, runner: Runner) -> None:
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        seg_heads = self._named(run_checks.find_heads(model, run_checks.SEG_HEADS))
        heads = seg_heads | self._named(run_checks.find_heads(model, run_checks.BOX_HEADS))
        dataset = runner.train_dataloader.dataset
        classes = getattr(dataset, "metainfo", {}).get("classes")
        if classes is None:
            runner.logger.warning("the training set does not name its classes, so head width and label ids were not checked")
            return
        for place, part, names in _parts(runner):
            run_checks.check_remap(names, getattr(part, "pipeline", ()), place=place)
        run_checks.check_head_width(heads, classes)
        run_checks.check_class_order(classes, self._other_class_lists(runner))
        run_checks.check_weight_length(seg_heads)
        if seg_heads:
            ignored = dict(_ignored_labels(runner, model, seg_heads))
            run_checks.check_ignore_index(ignored)
            self._check_label_files(dataset, len(classes), next(iter(ignored.values()), 255))
        else:
            self._check_instances(dataset, classes)
        runner.logger.info(f"preflight: {len(heads)} heads, {len(classes)} classes and up to {self.num_label_files} label files agree")

    def _named(self, heads: dict) -> dict:
        return {name: head for name, head in heads.items() if name not in self.other_heads}

    def _other_class_lists(self, runner: Runner) -> dict[str, Sequence[str]]:
        lists = {}
        if runner.val_loop is not None:
            lists["the validation set"] = getattr(runner.val_loop.dataloader.dataset, "metainfo", {}).get("classes")
        if runner.iter:  # resumed: a checkpoint that is only loaded from may know other classes
            lists["the resumed checkpoint"] = self._resumed_classes
        return {place: names for place, names in lists.items() if names is not None}

    def _check_label_files(self, dataset: object, num_classes: int, ignore_index: int) -> None:
        labelled, seen = 0, 0
        for part, index in self._samples(dataset):
            results = _read_labels(part, index)
            if results.get("gt_seg_map") is None:
                continue
            path = results.get("seg_map_path", f"sample {index}")
            labels = np.asarray(results["gt_seg_map"])
            labelled += run_checks.check_label_map(labels, path=path, num_classes=num_classes, ignore_index=ignore_index)
            seen += 1
        if seen and not labelled:
            raise PreflightError(
                f"{seen} label files were read and every pixel in them is ignored ({ignore_index}); check the remapping of the labels, "
                f"the last file was '{path}'"
            )

    def _check_instances(self, dataset: object, classes: Sequence[str]) -> None:
        for part, index in self._samples(dataset):
            info = part.get_data_info(index)
            for instance in info.get("instances", ()):
                label = instance.get("bbox_label", 0)
                if not 0 <= label < len(classes):
                    raise PreflightError(
                        f"'{info.get('img_path')}' has an object of class id {label}, but there are {len(classes)} classes "
                        f"({', '.join(classes)}); check the annotation file against metainfo"
                    )

    def _samples(self, dataset: object) -> Iterator[tuple[object, int]]:
        parts = [part for part in dataset_parts(dataset) if hasattr(part, "get_data_info") and hasattr(part, "pipeline")]
        for part in parts:
            count = min(len(part), -(-self.num_label_files // len(parts)))
            for index in np.linspace(0, len(part) - 1, count, dtype=int).tolist():
                yield part, index


def _parts(runner: Runner) -> Iterator[tuple[str, object, Sequence[str]]]:
    """Yield the data sets inside the training and validation set, each with the class names that it is scored by."""
    loaders = {"the training set": runner.train_dataloader}
    loaders |= {"the validation set": runner.val_loop.dataloader} if runner.val_loop is not None else {}
    for place, loader in loaders.items():
        names = getattr(loader.dataset, "metainfo", {}).get("classes")
        yield from ((place, part, names) for part in dataset_parts(loader.dataset) if names)


def _read_labels(dataset: object, index: int) -> dict:
    """Run the steps of a pipeline that read label ids or rename them; the others move pixels, which changes no id."""
    results = dataset.get_data_info(index)
    try:
        for transform in run_checks.walk_transforms(dataset.pipeline):
            name = type(transform).__name__
            if hasattr(transform, "label_table") or (name.startswith("Load") and "Image" not in name):
                results = transform(results)
    except (OSError, ValueError) as error:  # an unreadable file, or an id that the class table lacks: the text names it
        raise PreflightError(str(error)) from error
    return results


def _ignored_labels(runner: Runner, model: object, heads: dict) -> Iterator[tuple[str, int | float]]:
    for name, head in heads.items():
        if getattr(head, "ignore_index", None) is not None:
            yield f"{name}.ignore_index", head.ignore_index
        for loss_name, loss in run_checks.find_losses(head).items():
            if getattr(loss, "ignore_index", None) is not None:
                yield f"{name}.{loss_name}.ignore_index", loss.ignore_index
    padding = getattr(getattr(model, "data_preprocessor", None), "seg_pad_val", None)
    if padding is not None:
        yield "data_preprocessor.seg_pad_val", padding
    loaders = {"train": runner.train_dataloader} | ({"val": runner.val_loop.dataloader} if runner.val_loop is not None else {})
    for split, loader in loaders.items():
        for part in dataset_parts(loader.dataset):
            if getattr(part, "ignore_index", None) is not None:
                yield f"the {split} dataset's ignore_index", part.ignore_index
            for place, value in run_checks.ignored_by_pipeline(getattr(part, "pipeline", ())).items():
                yield f"the {split} pipeline's {place}", value
    evaluator = runner.val_loop.evaluator if runner.val_loop is not None else None
    for metric in getattr(evaluator, "metrics", ()):
        if getattr(metric, "ignore_index", None) is not None:
            yield f"{type(metric).__name__}.ignore_index", metric.ignore_index
