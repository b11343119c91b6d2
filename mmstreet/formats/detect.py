"""Which label format lies at a path: told by the files that are there, never by a guess."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

from mmstreet.files.images import open_header, read_regular_file
from mmstreet.files.walk import walk_files
from mmstreet.formats.catalogue import READERS
from mmstreet.formats.json_stream import JsonElements

_HEAD = 1 << 16
"""Characters of a JSON file in which its first key is looked for."""
_LOOK = 2000
"""Files of a folder that are looked at."""


def detect_format(path: str | Path) -> str:
    """Return the name of the format at a path, one of :data:`mmstreet.formats.catalogue.READERS`.

    Raises:
        FileNotFoundError: If there is nothing.
        ValueError: If it is none that is known; the message says what was found.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"no labels at {path}")
    found = _detect_folder(path) if path.is_dir() else _detect_file(path)
    if found is None:
        what = f"a folder of {', '.join(sorted({p.suffix or p.name for p in _files(path)})) or 'nothing'}" if path.is_dir() else "a file"
        raise ValueError(f"{path} is {what}, in which no label format is recognised; name one with --from: {', '.join(READERS)}")
    return found


def _detect_file(path: Path) -> str | None:
    if path.suffix.lower() == ".json":
        with open(path, encoding="utf-8", errors="replace") as file:
            key = re.search(r"[\"'](frames|config|name|labels|images|annotations|categories|info|licenses)[\"']\s*:", file.read(_HEAD))
        if key is None or key[1] in ("frames", "config", "name", "labels"):
            return None if key is None else "scalabel"
        annotation = next(iter(JsonElements(path, key="annotations")), None)
        return "coco-panoptic" if isinstance(annotation, dict) and "segments_info" in annotation else "coco"
    return {".zip": "cvat", ".parquet": "parquet", ".tar": "webdataset"}.get(path.suffix.lower())


def _detect_folder(path: Path) -> str | None:
    files = list(_files(path))
    endings = {file.suffix.lower() for file in files}
    jsons = sorted(path.glob("*.json"))
    for name, is_there in (
        ("predictions", (path / "run.json").is_file() and (path / "records").is_dir()),
        ("cityscapes", any(re.search(r"_(polygons\.json|instanceIds\.png|labelIds\.png)$", file.name) for file in files)),
        ("cvat", (path / "SegmentationClass").is_dir()),
        ("parquet", ".parquet" in endings),
        ("webdataset", ".tar" in endings),
        ("coco-panoptic", len(jsons) == 1 and jsons[0].with_suffix("").is_dir()),
        ("yolo", any(file.suffix == ".txt" and "labels" in file.parent.parts for file in files) or endings == {".txt"}),
    ):
        if is_there:
            return name
    if ".png" in endings:
        return _kind_of_maps(path, [file for file in files if file.suffix.lower() == ".png"])
    if any(file.suffix.lower() == ".json" for file in files):
        return "scalabel"
    return None


def _kind_of_maps(path: Path, pictures: list[Path]) -> str:
    """Tell bitmasks from label maps by one picture of each folder; a data set with several kinds inside is not taken for one of them."""
    kinds: dict[str, Path] = {}
    for folder, file in sorted({file.parent: file for file in reversed(pictures)}.items()):
        picture = open_header(read_regular_file(file), file)
        kind = {"RGBA": "instance bitmasks", "RGB": "colours"}.get("" if picture is None else picture.mode, "ids")
        kinds.setdefault(kind, folder)
    if len(kinds) > 1:
        found = " and ".join(f"{kind} ({folder})" for kind, folder in kinds.items())
        raise ValueError(
            f"{path} holds PNG files of several kinds, {found}; name one folder, or describe the data set with 'mmstreet init'"
        )
    return "bitmask" if "instance bitmasks" in kinds else "semantic"


def _files(path: Path) -> Iterator[Path]:
    return (path / name for name in islice(walk_files(path), _LOOK))
