"""The page of one run, or of several side by side: one HTML file that needs no network and no server."""

from __future__ import annotations

import datetime
import functools
from collections.abc import Sequence
from pathlib import Path

import jinja2

from mmstreet import __version__
from mmstreet.files.atomic import write_text
from mmstreet.files.tables import format_cell
from mmstreet.report.album_lists import compare_album
from mmstreet.report.charts import label
from mmstreet.report.comparison import compare_runs
from mmstreet.report.run_files import read_run
from mmstreet.report.run_sections import describe_run


def write_page(work_dirs: Sequence[str | Path], path: str | Path, *, names: Sequence[str] | None = None) -> Path:
    """Write the page.

    Args:
        work_dirs: One folder of a run, or several to compare; differences are against the first. Nothing outside these folders is read,
            and a file in them that cannot be used is named on the page.
        path: The HTML file.
        names: What to call the runs; default: the names of their folders, made unique.

    Returns:
        The file.

    Raises:
        ValueError: If there is no folder, a folder holds nothing to report, or there is not one name per folder.
    """
    if not work_dirs:
        raise ValueError("expected at least one work dir to report on")
    if names is not None and len(names) != len(work_dirs):
        raise ValueError(f"expected one name per work dir, {len(work_dirs)}, got {len(names)}")
    runs = [read_run(folder, name=name) for folder, name in zip(work_dirs, names or _unique_names(work_dirs))]
    comparison = compare_runs(runs) | {"album": compare_album(runs)} if len(runs) > 1 else None
    shared = (comparison["album"] or {"lists": {}}) if comparison else None
    page = (
        _environment()
        .get_template("page.html")
        .render(
            title=" | ".join(run.name for run in runs),
            runs=[describe_run(run, number=i, shared=shared) for i, run in enumerate(runs, 1)],
            comparison=comparison,
            version=__version__,
            written=datetime.datetime.now().strftime("%Y-%m-%d %H:%M"),
        )
    )
    # A link at this path is replaced and not followed, so nothing elsewhere is overwritten.
    return write_text(page.encode("utf-8", "replace").decode("utf-8"), path)


def _unique_names(work_dirs: Sequence[str | Path]) -> list[str]:
    """The last part of each path, with as many parts before it as tell them apart."""
    parts = [Path(folder).resolve().parts for folder in work_dirs]
    depth = 1
    while len({part[-depth:] for part in parts}) < len(parts) and depth < max(map(len, parts)):
        depth += 1
    return ["/".join(part[-depth:]) for part in parts]


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("mmstreet.report", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"number": format_cell, "label": label}
    return environment
