"""Stages of a stream that run beside each other, one thread each, with short queues between them and in order."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

Item = TypeVar("Item")

_POLL_SECONDS = 0.05
"""How soon a stage that waits for its neighbour notices that the stream is given up."""


class _Part(NamedTuple):
    """An item, or what ended the stream."""

    item: object = None
    error: BaseException | None = None
    is_end: bool = False


class _Queue:
    """A queue whose waiting ends when the stream is given up."""

    def __init__(self, size: int) -> None:
        self._items: queue.Queue = queue.Queue(size)
        self.given_up = threading.Event()

    def put(self, item: object) -> bool:
        """Wait for room and return whether the item was taken; False once the stream is given up."""
        while not self.given_up.is_set():
            try:
                self._items.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return True
        return False

    def get(self) -> object:
        """Wait for an item and return it; None once the stream is given up."""
        while not self.given_up.is_set():
            try:
                return self._items.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
        return None


def read_ahead(items: Iterable[Item], *, size: int) -> Generator[Item, None, None]:
    """Give the items of another thread's iteration, which is at most ``size`` items ahead.

    What the iteration raises is raised here, after the items before it. Closing this generator ends the thread, after the item that it is
    at, and closes the iteration.
    """
    waiting = _Queue(size)
    thread = threading.Thread(target=_feed, args=(items, waiting), daemon=True)
    thread.start()
    try:
        while True:
            got = waiting.get()
            if got.error is not None:
                raise got.error
            if got.is_end:
                return
            yield got.item
    finally:
        waiting.given_up.set()
        thread.join()


def _feed(items: Iterable, waiting: _Queue) -> None:
    rest = iter(items)
    try:
        for item in rest:
            if not waiting.put(_Part(item)):
                break
        end = _Part(is_end=True)
    except BaseException as error:
        end = _Part(error=error)
    finally:
        getattr(rest, "close", lambda: None)()
    waiting.put(end)


@contextmanager
def work_behind(work: Callable[[Item], object], *, size: int) -> Iterator[Callable[[Item], None]]:
    """Give a function that hands items to ``work``, which another thread calls with one after the other, at most ``size`` items behind.

    What ``work`` raises is raised at the next item, or at the end of the block; later items are then left out. A block that ends well
    ends when all its items are done; one that raises ends after the item that ``work`` is at.
    """
    waiting, failures = _Queue(size), []

    def run() -> None:
        while (got := waiting.get()) is not None and not got.is_end:
            try:
                work(got.item)
            except BaseException as error:
                failures.append(error)
                waiting.given_up.set()

    def hand_over(item: Item) -> None:
        if not waiting.put(_Part(item)):
            raise failures[0]

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        yield hand_over
    except BaseException:
        waiting.given_up.set()
        raise
    finally:
        waiting.put(_Part(is_end=True))
        thread.join()
    if failures:
        raise failures[0]
