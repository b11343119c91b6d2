"""One training per work directory: the second is refused, and a killed one blocks nobody."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import socket
from collections.abc import Iterator
from pathlib import Path

from mmstreet.engine.errors import LaunchError
from mmstreet.engine.processes import decide_on_main

try:
    import fcntl
except ImportError:  # Windows has no such locks; there trainings are not told apart
    fcntl = None

NAME = "running.json"
"""The file in a work directory that says which process trains there; it is locked for as long as that process lives."""
_held: dict[Path, int] = {}


def claim_work_dir(work_dir: str | Path) -> bool:
    """Claim a work directory for this process, until :func:`release_work_dir` or the end of the process, by a kill too.

    The system drops the lock with its process. A POSIX lock and not ``flock``, because workers of a data loader would inherit that and
    outlive a killed parent for some seconds.

    Returns:
        Whether this call made the claim; not if this process had it already, nor on Windows.

    Raises:
        LaunchError: If another process trains there; the message names it.
    """
    path = Path(work_dir).resolve() / NAME
    if fcntl is None or path in _held:
        return False
    path.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o666)
    try:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):
        holder = _read_holder(handle)
        os.close(handle)
        raise LaunchError(
            f"another training runs in '{work_dir}': process {holder.get('pid', '?')} on {holder.get('host', '?')}, started "
            f"{holder.get('started', '?')}; give this one another --work-dir, or end that one first"
        ) from None
    except OSError:  # a file system without locks: what the file says has to do
        holder = _read_holder(handle)
        if holder and not (holder.get("host") == socket.gethostname() and not _lives(holder.get("pid"))):
            os.close(handle)
            raise LaunchError(
                f"'{path}' says that process {holder.get('pid', '?')} on {holder.get('host', '?')} trains here since "
                f"{holder.get('started', '?')}; if it has ended, delete that file"
            ) from None
    started = datetime.datetime.now().astimezone().isoformat(timespec="seconds")
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "started": started}).encode(), 0)
    _held[path] = handle
    return True


def release_work_dir(work_dir: str | Path) -> None:
    """Give up a claim of this process, if it has one."""
    path = Path(work_dir).resolve() / NAME
    handle = _held.pop(path, None)
    if handle is not None:
        path.unlink(missing_ok=True)
        os.close(handle)


@contextlib.contextmanager
def claimed(work_dir: str | Path) -> Iterator[None]:
    """Hold a work directory within the block, on the main process for all; see :func:`claim_work_dir`."""
    decide_on_main(lambda: claim_work_dir(work_dir))
    try:
        yield
    finally:
        release_work_dir(work_dir)


def _read_holder(handle: int) -> dict:
    try:
        record = json.loads(os.pread(handle, 1000, 0))
    except ValueError:
        return {}
    return record if isinstance(record, dict) else {}


def _lives(pid: object) -> bool:
    try:
        os.kill(int(pid), 0)
    except (ProcessLookupError, TypeError, ValueError):
        return False
    except PermissionError:
        return True
    return True
