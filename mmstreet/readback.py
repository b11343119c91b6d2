"""Values that a device computes and the host wants to know without waiting for the device: copied beside its work, read a step later."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

Check = Callable[[], None]
"""Raises the error of a value that is wrong."""

_current: ContextVar[Watch | None] = ContextVar("watch", default=None)


def on_host(tensor: Tensor) -> bool:
    """Return whether the host can read a tensor at no price."""
    return tensor.device.type == "cpu"


def to_device(tensor: Tensor, device: torch.device | str) -> Tensor:
    """Copy a small tensor of the host to a device; the host does not wait for a GPU."""
    if tensor.device.type == "cpu" and torch.device(device).type == "cuda":
        return tensor.pin_memory().to(device, non_blocking=True)
    return tensor.to(device)


class Readback:
    """A small tensor on its way to the host; :meth:`read` waits for the copy alone, not for what was asked of the device after it."""

    def __init__(self, value: Tensor) -> None:
        value = value.detach()
        self._event = torch.cuda.Event() if value.is_cuda else None
        self._host = torch.empty(value.shape, dtype=value.dtype, pin_memory=value.is_cuda)
        self._host.copy_(value, non_blocking=True)
        if self._event is not None:
            self._event.record()

    def read(self) -> Tensor:
        """Return the value, on the host."""
        if self._event is not None:
            self._event.synchronize()
        return self._host


class Numbers:
    """Numbers by name on their way to the host, in one copy; see :class:`Readback`.

    Args:
        values: Tensors of one element, or numbers of Python or numpy.

    Attributes:
        on_host: Whether reading them waits for nothing.
    """

    def __init__(self, values: Mapping[str, object]) -> None:
        values = {name: value.detach() if isinstance(value, Tensor) else value for name, value in values.items()}
        there = {name: value for name, value in values.items() if isinstance(value, Tensor) and not on_host(value)}
        self._values = {name: None if name in there else float(value) for name, value in values.items()}
        self._copy = Readback(torch.stack([value.double().reshape(()) for value in there.values()])) if there else None
        self._names = list(there)
        self.on_host = not there

    def read(self) -> dict[str, float]:
        """Return them, in their order."""
        return self._values | dict(zip(self._names, self._copy.read().tolist() if self._copy else ()))


class Watch:
    """Checks of values on a device. What fails in one step raises at the next, or at :meth:`read`; on a CPU it raises at once."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Readback, Check]] = []

    def __reduce__(self) -> tuple:
        return Watch, ()  # a copy of a model, or a saved one, has nothing to wait for

    @contextmanager
    def step(self) -> Iterator[None]:
        """Read the checks of the step before, and collect those of this one."""
        self.read()
        token = _current.set(self)
        try:
            yield
        finally:
            _current.reset(token)

    def read(self) -> None:
        """Raise the error of the first check that failed, if any did."""
        waiting, self._waiting = self._waiting, []
        for flag, check in waiting:
            if flag.read():
                check()

    def add(self, wrong: Tensor, check: Check) -> None:
        """Note a check, whose result is a bool on the device."""
        self._waiting.append((Readback(wrong), check))


def check_later(wrong: Tensor, check: Check) -> None:
    """Call a check if a value is wrong: within :meth:`Watch.step` when the device has said so, elsewhere at once.

    Args:
        wrong: Bool of one element.
        check: Raises the error; it finds the same fault again.
    """
    watch = _current.get()
    if watch is not None and not on_host(wrong):
        watch.add(wrong, check)
    elif wrong:
        check()
