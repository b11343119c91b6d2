"""A conversion that the processes of a job do together: chunks by lease, and one of them puts the parts into place."""

from __future__ import annotations

import contextlib
import os
import pickle
import shutil
import uuid
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from mmstreet.files.atomic import atomic_folder, check_folder
from mmstreet.files.leases import Leases
from mmstreet.files.sharing import STATE, SharedWork, choose_size, cut_chunks
from mmstreet.formats.conversion_report import ConversionReport
from mmstreet.formats.convert import convert_some
from mmstreet.formats.pictures import refuse_taken
from mmstreet.formats.records import Reader, Task, Writer, first_of_each


def convert_together(
    reader: Reader, writer: Writer, *, strict: bool = False, overwrite: bool = False, copy_images: bool = False
) -> ConversionReport | None:
    """Convert every image of a reader together with the other processes of this process's job.

    What the chunks give is kept in a hidden folder beside the output. The process that finds all of them done joins them in the reader's
    order, as :func:`mmstreet.formats.convert.convert` does, so that the output is the same to the byte.

    Args:
        reader: Where the labels come from; the same in every process.
        writer: Where they go.
        strict: Stop at the first label or image that cannot be converted, instead of counting it.
        overwrite: Replace a folder that is not empty.
        copy_images: Put the image files where the format has them.

    Returns:
        The report; ``None`` where another process is still at work, or joins the parts.

    Raises:
        FileExistsError, OSError, ValueError, RuntimeError: As :func:`mmstreet.formats.convert.convert`.
    """
    target = Path(writer.path)
    total = ConversionReport(strict=strict, source=str(reader.path))
    tasks = list(first_of_each(reader.tasks(), total, target=writer.target))
    state = target.parent / f".{target.name}{STATE}"
    chunks = cut_chunks(tasks, choose_size(len(tasks)))
    work = SharedWork(chunks, state, names=[repr(reader), repr(writer), *(task.name for task in tasks)])
    if writer.is_folder and not work.results():
        check_folder(target, overwrite=overwrite)

    def do(chunk: Sequence[Task]) -> dict:
        part = state / "parts" / uuid.uuid4().hex  # of its own, for a process that was killed may have left a half
        part.mkdir(parents=True)
        rendered, report = convert_some(reader, replace(writer, path=part / "files"), strict, copy_images, list(chunk))
        (part / "rendered").write_bytes(pickle.dumps(rendered))
        return {"part": part.name, "report": pickle.dumps(report).hex()}

    work.run(do)
    if not work.is_complete():
        return None
    for number in (join := Leases(state / f"join-{work.job}", 1, job=work.job)):
        report = _join(writer, state / "parts", total, work.results(), overwrite=overwrite)
        join.finish(number, {})
        shutil.rmtree(state / "parts", ignore_errors=True)
        return report
    return None


def _join(writer: Writer, parts: Path, total: ConversionReport, results: Sequence[dict], *, overwrite: bool) -> ConversionReport:
    with contextlib.ExitStack() as stack:
        if writer.is_folder:
            writer = replace(writer, path=stack.enter_context(atomic_folder(writer.path, overwrite=overwrite)))
        add = stack.enter_context(writer.open())
        for result in results:
            part = parts / result["part"]
            for rendered in _load((part / "rendered").read_bytes()):
                add(rendered)
            total.add(_load(bytes.fromhex(result["report"])))
            _link_files(part / "files", Path(writer.path))
        total.check()
    return total


def _link_files(source: Path, target: Path) -> None:
    """Give the files of a part their places too; the part keeps them, for the case that joining is interrupted."""
    for path in sorted(path for path in source.rglob("*") if path.is_file()):
        goal = target / path.relative_to(source)
        refuse_taken(goal)
        goal.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(path, goal)
        except OSError:  # a disk without hard links
            shutil.copyfile(path, goal)


def _load(data: bytes) -> Any:
    """Read what a process of this job has written a moment before."""
    return pickle.loads(data)
