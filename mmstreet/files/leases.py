"""A series of chunks that any number of processes, on all machines that see one folder, take in turn by lease.

A chunk is taken by making a file that may not exist yet, and kept by touching it; when it is done, a file with its result takes its place.
A process that is killed touches no more, and another takes its chunk over: at once on the same machine, elsewhere after :data:`LEASE_S`
seconds. No clocks are compared: what counts is how long this process has seen no touch. If a process only slept and goes on, a chunk is
done twice, with one result.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from mmstreet.files.atomic import write_bytes

LEASE_S = 60.0
"""Seconds without a touch after which a process on another machine counts as dead."""
_BEATS = 6
"""Touches in that time."""


class Leases:
    """Chunks 0 to ``count - 1``; iterating takes them one by one, until none is free.

    Args:
        folder: Where the files of the leases go; made if it is missing. A series has a folder of its own.
        count: Number of chunks.
        job: Names the work that is shared: processes of one job do each chunk once, another job does them again.
        again: Begin anew where a job of this name has done everything, for names that are not unique.
        first: Where to begin; processes that begin at different chunks seldom meet.
        lease_s: See :data:`LEASE_S`.
        sleep: Waits; tests give another.

    Example::

        leases = Leases(folder, 10, job="42")
        for number in leases:
            leases.finish(number, {"done": do(number)})
        complete = leases.results()
    """

    def __init__(
        self,
        folder: str | Path,
        count: int,
        *,
        job: str,
        again: bool = False,
        first: int = 0,
        lease_s: float = LEASE_S,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.folder = Path(folder)
        self.count = count
        self.first = first
        self.lease_s = lease_s
        self._sleep = sleep
        self._me = {"host": socket.gethostname(), "space": _process_space(), "pid": os.getpid(), "start": _start_of(os.getpid())}
        self._me["id"] = uuid.uuid4().hex
        self._seen: dict[int, tuple[object, float]] = {}
        self._alive: set[int] = set()
        self.folder.mkdir(parents=True, exist_ok=True)
        self.job = _safe(job)
        while again and self.count and len(self._done()) == self.count:
            self.job += "+"

    def __iter__(self) -> Iterator[int]:
        """Take free chunks, then those of processes that died; what others are at work on is left to them."""
        while (number := self._take()) is not None:
            with self._beating(number):
                yield number

    def finish(self, number: int, result: Mapping) -> None:
        """Write the result of a chunk that was taken, as JSON, and give its lease back."""
        write_bytes(json.dumps(result, allow_nan=False).encode(), self.folder / self._done_name(number), durable=False)
        for name in os.listdir(self.folder):
            if name.startswith(f"{number:06d}.done-") and name != self._done_name(number):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(self.folder / name)

    def results(self) -> dict[int, dict]:
        """Return the results of this job's chunks that are done, by number; the work is complete when all are there."""
        return {number: json.loads((self.folder / self._done_name(number)).read_bytes()) for number in sorted(self._done())}

    def is_complete(self) -> bool:
        """Tell whether every chunk is done."""
        return len(self._done()) == self.count

    def _take(self) -> int | None:
        while True:
            names = set(os.listdir(self.folder))
            open_chunks = [n for n in self._order() if self._done_name(n) not in names]
            for number in open_chunks:
                if self._lease(number).name not in names and self._acquire(number):
                    return number
            held = [number for number in open_chunks if self._lease(number).name in names]
            judged = {number: self._judge(number) for number in held}
            for number, holder in judged.items():
                if holder == "dead" and self._take_over(number):
                    return number
            if not any(holder in ("unknown", "dead") for holder in judged.values()):
                return None
            self._sleep(self.lease_s / _BEATS / 2)

    def _order(self) -> Iterator[int]:
        return ((self.first + i) % self.count for i in range(self.count))

    def _acquire(self, number: int) -> bool:
        try:
            handle = os.open(self._lease(number), os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666)
        except FileExistsError:
            return False
        with os.fdopen(handle, "w") as file:
            json.dump(self._me, file)
        if (self.folder / self._done_name(number)).exists():  # by another process, since the folder was listed
            self._release(number)
            return False
        return True

    def _release(self, number: int) -> None:
        with contextlib.suppress(FileNotFoundError):
            if self._holder(number).get("id") == self._me["id"]:
                os.unlink(self._lease(number))

    def _judge(self, number: int) -> str:
        """Say of a lease whether its holder is ``'dead'``, ``'alive'``, or still ``'unknown'``; it may also be ``'gone'``."""
        try:
            state = os.stat(self._lease(number))
            holder = self._holder(number)
        except FileNotFoundError:
            self._seen.pop(number, None)
            return "gone"
        if (holder.get("host"), holder.get("space")) == (self._me["host"], self._me["space"]):
            return "alive" if _start_of(holder["pid"]) == holder.get("start") else "dead"
        mark, now = (holder.get("id"), state.st_mtime_ns), time.monotonic()
        before, since = self._seen.setdefault(number, (mark, now))
        if mark != before:
            self._seen[number] = mark, now
            self._alive.add(number)
            return "alive"
        if now - since >= self.lease_s:
            return "dead"
        return "alive" if number in self._alive and now - since < 2 * self.lease_s / _BEATS else "unknown"

    def _take_over(self, number: int) -> bool:
        """Take the lease of a dead process away; of several that try, one gets it."""
        dead, aside = self._holder(number), self.folder / f".{number:06d}.{self._me['id']}"
        try:
            os.rename(self._lease(number), aside)
        except FileNotFoundError:
            return False
        if _read(aside).get("id") != dead.get("id"):  # another was faster, and this is its lease
            with contextlib.suppress(FileExistsError):
                os.link(aside, self._lease(number))
        os.unlink(aside)
        self._seen.pop(number, None)
        return self._acquire(number)

    def _holder(self, number: int) -> dict:
        return _read(self._lease(number))

    @contextlib.contextmanager
    def _beating(self, number: int) -> Iterator[None]:
        stop = threading.Event()

        def beat() -> None:
            while not stop.wait(self.lease_s / _BEATS):
                with contextlib.suppress(OSError):  # another process may have taken it over; the result is the same
                    os.utime(self._lease(number))

        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            stop.set()
            thread.join()
            self._release(number)

    def _done(self) -> set[int]:
        ending = f".done-{self.job}"
        return {int(name[:6]) for name in os.listdir(self.folder) if name.endswith(ending) and name[:6].isdecimal()}

    def _done_name(self, number: int) -> str:
        return f"{number:06d}.done-{self.job}"

    def _lease(self, number: int) -> Path:
        return self.folder / f"{number:06d}.lease"


def _read(path: Path) -> dict:
    try:
        found = json.loads(path.read_bytes())
    except (FileNotFoundError, ValueError):  # gone, or just being written
        return {}
    return found if isinstance(found, dict) else {}


def _process_space() -> str:
    """Name the space in which process numbers mean something: containers on one machine have each their own."""
    with contextlib.suppress(OSError):
        return os.readlink("/proc/self/ns/pid")
    return ""


def _start_of(pid: int) -> str | None:
    """Return when a process began, which tells it from a later one of the same number; ``None`` if there is none."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            state, *fields = file.read().rpartition(")")[2].split()
    except FileNotFoundError:
        if not os.path.isdir("/proc/self"):  # a system without /proc
            return "alive" if _exists(pid) else None
        return None
    return None if state in "ZX" else fields[18]


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        pass
    return True


def _safe(text: str) -> str:
    return "".join(sign if sign.isalnum() or sign in "-_" else "_" for sign in text) or "job"
