"""What must agree between model, losses, data and metric before training is worth starting: one check, one sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from torch import nn

from mmstreet.engine.errors import PreflightError
from mmstreet.files.label_ids import LabelIdError, check_label_ids
from mmstreet.labels import TABLES

SEG_HEADS = ("decode_head", "auxiliary_head")
BOX_HEADS = ("roi_head.bbox_head", "roi_head.mask_head", "bbox_head", "mask_head")


def find_heads(model: nn.Module, names: Sequence[str]) -> dict[str, nn.Module]:
    """Find the prediction heads of a model; a list of heads is taken apart, so ``auxiliary_head.1`` is a name too.

    Args:
        model: A segmentor or detector.
        names: Dotted names to look for; those that the model lacks are left out.
    """
    modules = dict(model.named_modules())
    found = {}
    for name in names:
        head = modules.get(name)
        if isinstance(head, nn.ModuleList):
            found |= {f"{name}.{i}": part for i, part in enumerate(head)}
        elif head is not None:
            found[name] = head
    return found


def find_losses(head: nn.Module) -> dict[str, nn.Module]:
    """Find the loss modules of a segmentation head, with their names below the head."""
    loss = head.loss_decode if hasattr(head, "loss_decode") else nn.ModuleList()
    parts = {f"loss_decode.{i}": part for i, part in enumerate(loss)} if isinstance(loss, nn.ModuleList) else {"loss_decode": loss}
    return {name: part for name, part in parts.items() if isinstance(part, nn.Module)}


def check_head_width(heads: dict[str, nn.Module], classes: Sequence[str]) -> None:
    """Every head predicts as many classes as the dataset has.

    Raises:
        PreflightError: If one does not.
    """
    for name, head in heads.items():
        width = getattr(head, "num_classes", None)
        if width is not None and width != len(classes):
            raise PreflightError(
                f"{name}.num_classes is {width}, but the training set has {len(classes)} classes ({_short(classes)}); set it to "
                f"{len(classes)}, or name the head in PreflightHook's other_heads if it predicts something else"
            )


def check_class_order(classes: Sequence[str], others: dict[str, Sequence[str]]) -> None:
    """The classes are in the order of the class table with the same names, and in the same order wherever else they are listed.

    A last class "background" elsewhere is allowed: a six-class model can be validated over the whole scene.

    Args:
        classes: Class names of the training set.
        others: Class names elsewhere, by a word for the place.

    Raises:
        PreflightError: If an order differs.
    """
    tables = {f"class table '{table.name}'": table.names for table in TABLES.values() if set(table.names) == set(classes)}
    for place, names in {**others, **tables}.items():
        names, classes = tuple(names), tuple(classes)
        if names in (classes, (*classes, "background")) or (place in tables and classes in tables.values()):
            continue
        if len(names) != len(classes):
            raise PreflightError(
                f"the training set has {len(classes)} classes ({_short(classes)}), but {place} has {len(names)} ({_short(names)})"
            )
        i = next(i for i, (a, b) in enumerate(zip(classes, names, strict=True)) if a != b)
        raise PreflightError(
            f"class {i} is '{classes[i]}' in the training set, but '{names[i]}' in {place}; list the classes in the same order"
        )


def check_remap(classes: Sequence[str], pipeline: object, *, place: str) -> None:
    """Labels leave the pipeline in the classes that the data set names.

    Args:
        classes: Class names of the data set.
        pipeline: Its transforms.
        place: A word for the data set.

    Raises:
        PreflightError: If the last step that names a class table, such as ``mmstreet.RemapLabels``, gives other classes.
    """
    tables = [step.label_table for step in walk_transforms(pipeline) if getattr(step, "label_table", None) is not None]
    if tables and tables[-1].names != tuple(classes):
        raise PreflightError(
            f"labels leave the pipeline of {place} in the classes of '{tables[-1].name}' ({_short(tables[-1].names)}), but its metainfo "
            f"has {_short(classes)}: every score would bear a wrong name; wrap the data set, dict(type='mmstreet.RemappedSemSeg', "
            "dataset=dict(…)), or, if it is one of mmstreet, say table="
        )


def check_ignore_index(values: dict[str, int | float]) -> None:
    """Heads, losses, padding, datasets and metrics ignore the same label.

    Args:
        values: The ignored label, by a word for the place.

    Raises:
        PreflightError: If they differ; the message lists who says what.
    """
    if len(set(values.values())) > 1:
        said = {value: [place for place, v in values.items() if v == value] for value in values.values()}
        listed = "; ".join(f"{value} in {', '.join(places)}" for value, places in said.items())
        raise PreflightError(f"the ignored label must be one number everywhere, but it is {listed}")


def check_weight_length(heads: dict[str, nn.Module]) -> None:
    """A loss with class weights has one for each class of its head.

    Raises:
        PreflightError: If the numbers differ.
    """
    for name, head in heads.items():
        for loss_name, loss in find_losses(head).items():
            weight = getattr(loss, "class_weight", None)
            if weight is not None and getattr(head, "out_channels", None) != 1 and len(weight) != head.num_classes:
                raise PreflightError(
                    f"{name}.{loss_name} has {len(weight)} class weights, but {name} predicts {head.num_classes} classes; "
                    "give one weight per class"
                )


def check_label_map(labels: np.ndarray, *, path: str, num_classes: int, ignore_index: int) -> int:
    """A label map holds class ids and the ignored label only.

    Args:
        labels: The map as the model would see it, integer ``[H, W]``.
        path: Its file.
        num_classes: Ids ``0 … num_classes - 1`` are classes.
        ignore_index: The ignored label.

    Returns:
        Number of labelled pixels.

    Raises:
        PreflightError: If the map has colours instead of ids, or an id that is no class.
    """
    if labels.ndim != 2:
        raise PreflightError(
            f"label file '{path}' has shape {labels.shape}; expected one id per pixel, so convert its colours to ids first"
        )
    try:
        check_label_ids(labels, num_classes=num_classes, ignore_index=ignore_index, where=f"label file '{path}'")
    except LabelIdError as error:
        raise PreflightError(str(error)) from error
    return int((labels != ignore_index).sum())


def walk_transforms(pipeline: object) -> Iterator[object]:
    """Yield the transforms of a pipeline, those inside wrappers (``RandomApply``, ``RandomChoice`` …) too."""
    for transform in getattr(pipeline, "transforms", pipeline if isinstance(pipeline, list | tuple) else ()):
        if isinstance(transform, list | tuple):
            yield from walk_transforms(transform)
        else:
            yield transform
            yield from walk_transforms(getattr(transform, "transforms", ()))


def ignored_by_pipeline(pipeline: object) -> dict[str, int | float]:
    """Find what the transforms of a pipeline take for the ignored label, by their settings' names."""
    found = {}
    for transform in walk_transforms(pipeline):
        name = type(transform).__name__
        for setting in ("ignore_index", "seg_pad_val"):
            value = getattr(transform, setting, None)
            if isinstance(value, int | float):
                found[f"{name}.{setting}"] = value
        pad = getattr(transform, "pad_val", None)
        if isinstance(pad, dict) and "seg" in pad:
            found[f"{name}.pad_val['seg']"] = pad["seg"]
    return found


def _short(names: Sequence[str], limit: int = 8) -> str:
    return ", ".join(names[:limit]) + (", …" if len(names) > limit else "")
