"""Checkpoint files: written completely or not at all, and how the newest complete one is found."""

from __future__ import annotations

import zipfile
from pathlib import Path

from mmengine.fileio import register_backend
from mmengine.fileio.backends import LocalBackend

from mmstreet.engine.errors import LaunchError
from mmstreet.files.atomic import PARTIAL, write_bytes

BACKEND = "mmstreet_atomic"
"""Name under which mmengine finds :class:`AtomicLocalBackend`: ``backend_args=dict(backend=BACKEND)``."""
POINTER = "last_checkpoint"
"""The file in a work directory that holds the path of the newest checkpoint; mmengine reads it too."""


def remove_partial_files(folder: str | Path) -> list[Path]:
    """Delete what interrupted writes left in a folder, and return what was deleted."""
    left = sorted(Path(folder).glob(f".*{PARTIAL}"))
    for path in left:
        path.unlink()
    return left


@register_backend(BACKEND, force=True)
class AtomicLocalBackend(LocalBackend):
    """mmengine's local file backend with writes that are whole or absent."""

    def put(self, obj: bytes, filepath: str | Path) -> None:
        """Write bytes; see :func:`~mmstreet.files.atomic.write_bytes`."""
        write_bytes(obj, filepath)

    def put_text(self, obj: str, filepath: str | Path, encoding: str = "utf-8") -> None:
        """Write text; see :func:`~mmstreet.files.atomic.write_bytes`."""
        write_bytes(obj.encode(encoding), filepath)


def is_complete(path: str | Path) -> bool:
    """Tell whether a checkpoint file was written to its end.

    ``torch.save`` writes a zip archive, whose table of contents comes last; a file that was cut off has none.

    Args:
        path: A file.
    """
    return Path(path).is_file() and zipfile.is_zipfile(path)


def latest_checkpoint(work_dir: str | Path) -> Path | None:
    """Find the checkpoint to resume from.

    Args:
        work_dir: A run's folder.

    Returns:
        The file that ``last_checkpoint`` names, also when the folder was moved since, or its successor if the run was killed before it
        could name that. If there is no such file or it is not complete, the complete ``epoch_*.pth`` or ``iter_*.pth`` that was written
        last. ``None`` if there is none.
    """
    work_dir = Path(work_dir)
    complete = [path for stem in ("epoch", "iter") for path in work_dir.glob(f"{stem}_*.pth") if is_complete(path)]
    named = _read_pointer(work_dir)
    for path in (named, work_dir / named.name):
        if is_complete(path):
            # A higher number alone may be left from an earlier run in this folder, a later date alone from copying.
            candidates = [path, *(other for other in complete if _succeeds(other, path))]
            break
    else:
        candidates = complete
    return max(candidates, key=lambda path: path.stat().st_mtime_ns, default=None)


def _read_pointer(work_dir: Path) -> Path:
    """The path in ``last_checkpoint``, whatever else the file holds; the folder itself, which is no checkpoint, if that is no path."""
    try:
        named = Path((work_dir / POINTER).read_bytes()[:10_000].decode("utf-8").strip())
        named.exists()
    except (OSError, ValueError):  # no file, no text, or no name that a file can have
        return work_dir
    return named


def find_checkpoint(place: str | Path) -> Path:
    """Return a checkpoint's path from what a user gives: the file, or the folder of a run for its newest one.

    Raises:
        LaunchError: If there is no such file, or no complete checkpoint in the folder.
    """
    path = Path(place)
    if path.is_dir():
        found = latest_checkpoint(path)
        if found is None:
            raise LaunchError(f"there is no complete checkpoint in '{path}'; give the path of a .pth file")
        return found
    if not path.is_file():
        beside = ", ".join(sorted(x.name for x in path.parent.glob("*.pth"))) or "no .pth file"
        raise LaunchError(f"checkpoint '{path}' does not exist; its folder has: {beside}")
    return path


def _succeeds(path: Path, other: Path) -> bool:
    kind, _, step = path.stem.rpartition("_")
    other_kind, _, other_step = other.stem.rpartition("_")
    numbered = kind == other_kind and step.isdigit() and other_step.isdigit()
    return numbered and int(step) > int(other_step) and path.stat().st_mtime_ns > other.stat().st_mtime_ns
