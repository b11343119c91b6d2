"""Several data sets as one: which class of each becomes which of a common table, as far as names tell."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from mmstreet.datasets.data_file import read_data_file
from mmstreet.datasets.remap_names import nearest, suggest_mapping
from mmstreet.datasets.survey import Survey
from mmstreet.labels import LabelTable, get_table


def join_data(paths: Sequence[str | Path], *, out: Path, classes: str | None = None, name: str | None = None) -> Survey:
    """Describe several data sets as one.

    Args:
        paths: Their ``data.yaml`` files.
        out: The file that will hold the description.
        classes: Name of the known table that is learned; ``None`` takes the classes of the first file.
        name: What to call the data; default: that of ``out``.

    Returns:
        The description. Every class that does not keep its name is in a ``remap``: names that mean the same go to that class, the others
        are void, and are named with what is nearest.

    Raises:
        FileNotFoundError: If a file does not exist.
        ValueError: If a file is wrong, or no class of one is known.
        KeyError: If there is no table of that name.
    """
    files = [read_data_file(path) for path in paths]
    table: LabelTable = files[0].table if classes is None else get_table(classes)
    sets, doubts = [], []
    for path, data in zip(paths, files):
        found = suggest_mapping(data.table.names, table.names)
        if not found:
            raise ValueError(
                f"no class of '{path}' ({', '.join(data.table.names)}) means one of {', '.join(table.names)}; choose other --classes"
            )
        void = [source for source in data.table.names if source not in found]
        remap = {source: found.get(source) for source in data.table.names if found.get(source) != source}
        sets.append({"data": os.path.relpath(path, out.parent), **({"remap": remap} if remap else {})})
        if void:
            near = (f"{source} (nearest: {other})" if (other := nearest(source, table.names)) else source for source in void)
            doubts.append(f"{path}: void, because no class means the same: {', '.join(near)}")
        unknown = [target for target in table.names if target not in found.values()]
        if unknown:
            doubts.append(f"{path}: knows nothing of {', '.join(unknown)}; where such a thing is, it is labelled as something else or void")
    rows = [{key: value for key, value in row.items() if key != "share" and value is not None} for row in table.rows]
    rows = [{**row, "id": i} for i, row in enumerate(rows)]
    image_hw = next((list(data.image_hw) for data in files if data.image_hw), None)
    kind = f"{len(files)} data sets"
    return Survey({"name": name or out.stem, "kind": kind, "sets": sets, "image_hw": image_hw, "classes": rows}, {}, doubts)
