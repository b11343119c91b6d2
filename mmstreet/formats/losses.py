"""What of an image a format has no place for, counted before it is written."""

from __future__ import annotations

from collections.abc import Container

from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.records import FLAGS, ImageRecord


def count_losses(image: ImageRecord, holds: Container[str], report: ConversionReport) -> None:
    """Count the flags, scores, label ids and image attributes of an image that a format cannot hold.

    Objects that cannot be told apart, hidden pixels and boxes without a mask are counted by the writers, which see the pixels.

    Args:
        image: The image that is about to be written.
        holds: What the format holds, of :data:`mmstreet.formats.records.FEATURES`.
        report: Each kind of loss is counted once per label, attributes once per image.
    """
    for instance in image.instances:
        told = {
            **{f"flag '{flag}'": (flag, getattr(instance, flag)) for flag in FLAGS},
            "score": ("scores", instance.score is not None),
            "label id": ("ids", instance.source_id != ""),
        }
        for what, (feature, is_there) in told.items():
            if is_there and feature not in holds:
                report.lose(what, f"image '{image.name}', label {instance.source_id or 'without id'}")
    if image.attributes and "attributes" not in holds:
        report.lose("image attributes", f"image '{image.name}': {', '.join(image.attributes)!s:.100}")
