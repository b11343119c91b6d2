"""Converting instance labels from any format to any other, on all cores and image by image.

Images are handed to the processes a few at a time and collected in the reader's order, so
that ids do not depend on the number of processes and memory does not grow with the number of images.
"""

from __future__ import annotations

import contextlib
import json
import tempfile
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mmstreet.files.atomic import atomic_folder
from mmstreet.files.parallel import available_cores, map_chunks
from mmstreet.formats.coco import CocoWriter
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.losses import count_losses
from mmstreet.formats.pictures import copy_picture
from mmstreet.formats.records import Reader, Task, Writer, first_of_each
from mmstreet.formats.rules import RecordError
from mmstreet.labels import BDD100K_INS8, LabelTable


def convert(
    reader: Reader,
    writer: Writer,
    *,
    workers: int | None = None,
    strict: bool = False,
    progress: bool = True,
    overwrite: bool = False,
    copy_images: bool = False,
) -> ConversionReport:
    """Convert every image of a reader and return the report.

    The output has its name only when it is complete; before that it is written beside it, and what a conversion that failed has written
    is deleted.

    Args:
        reader: Where the labels come from.
        writer: Where they go.
        workers: Processes; ``None`` takes one per core, 1 works in this process.
        strict: Stop at the first label or image that cannot be converted, instead of counting it.
        progress: Show a bar.
        copy_images: Put copies of the image files where the format has them.
        overwrite: Replace a folder that is not empty; a file is replaced in any case.

    Raises:
        FileExistsError: If the output is a folder that is not empty, without ``overwrite``.
        OSError: If the disk is full, in one sentence.
        ValueError: If the input is malformed as a whole, a name leads out of the image folder, or, with ``strict``, a label
            cannot be converted.
        RuntimeError: If labels were lost without being counted.
    """
    total = ConversionReport(strict=strict, source=str(reader.path))
    with contextlib.ExitStack() as stack:
        if writer.is_folder:
            writer = replace(writer, path=stack.enter_context(atomic_folder(writer.path, overwrite=overwrite)))
        tasks = reader.tasks()
        length = len(tasks) if isinstance(tasks, list) else None
        add = stack.enter_context(writer.open())
        bar = stack.enter_context(tqdm(total=length, unit="image", disable=None if progress else True))
        work = partial(convert_some, reader, writer, strict, copy_images)
        for chunk, report in map_chunks(
            work, first_of_each(tasks, total, target=writer.target), workers=available_cores() if workers is None else workers
        ):
            for rendered in chunk:
                add(rendered)
            total.add(report)
            bar.update(total.images_in - bar.n)
        total.check()
    return total


def coco_dict(reader: Reader, *, table: LabelTable = BDD100K_INS8, workers: int = 1) -> tuple[dict, ConversionReport]:
    """Return the COCO file of a reader's images as a dictionary, and the report; arguments as in :func:`convert`."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "instances.json"
        report = convert(reader, CocoWriter(path, table), workers=workers, progress=False)
        return json.loads(path.read_text(encoding="utf-8")), report


def convert_some(reader: Reader, writer: Writer, strict: bool, copy_images: bool, tasks: list[Task]) -> tuple[list[Any], ConversionReport]:
    report, chunk = ConversionReport(strict=strict, source=str(reader.path)), []
    for task in tasks:
        image = reader.read(task, report)
        if image is None:
            continue
        if image.picture is None and reader.image_root is not None:
            image = replace(image, picture=Path(reader.image_root) / image.name)
        try:
            if copy_images:
                copy_picture(image, Path(writer.path) / writer.picture_target(image.name))
            chunk.append(writer.render(image, report))
            count_losses(image, writer.holds, report)
        except RecordError as error:
            report.skip_image(error.reason, f"image '{image.name}': {error}", instances=len(image.instances))
    return chunk, report
