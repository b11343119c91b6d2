"""Where a program waits for its accelerator: real waits on CUDA by torch's sync debug mode, and on a CPU the calls that would be some."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from unittest.mock import patch

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

_SKIPPED = ("torch", "warnings", "contextlib", "host_waits", "gpu")
_READS = {Tensor.cpu, Tensor.numpy, Tensor.tolist, Tensor.__array__}
# Ops whose result has a size, or a Python number, that only the device knows.
_OPS = {
    "_local_scalar_dense",
    "nonzero",
    "masked_select",
    "equal",
    "is_nonzero",
    "unique_dim",
    "_unique2",
    "unique_consecutive",
    "bincount",
    "allclose",
    "_linalg_check_errors",
}


@dataclass(frozen=True)
class HostWait:
    """One wait: the package, file and line that asked for it, and what it was."""

    package: str
    place: str
    what: str


@contextmanager
def cuda_waits() -> Iterator[list[HostWait]]:
    """Collect the waits of a block on CUDA. Those of a backward pass run in another thread and have the package ``backward``."""
    waits: list[HostWait] = []

    def note(message, category, filename, lineno, file=None, line=None):
        if "called a synchronizing CUDA operation" in str(message):
            waits.append(_blame("synchronization"))

    torch.cuda.synchronize()
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = note
        torch.cuda.set_sync_debug_mode("warn")
        try:
            yield waits
        finally:
            torch.cuda.set_sync_debug_mode("default")


@contextmanager
def cpu_waits(on_device: Sequence[Tensor]) -> Iterator[list[HostWait]]:
    """Collect what would wait if the given tensors, and all that is computed from them, were on an accelerator.

    Copies from the host to the device cannot be told apart on a CPU.
    """
    waits: list[HostWait] = []
    known = {_storage(tensor) for tensor in on_device}
    with as_on_device(), _Reads(waits, known), _Ops(waits, known):
        yield waits


@contextmanager
def as_on_device() -> Iterator[None]:
    """Let the package treat every tensor as one of an accelerator."""
    with ExitStack() as stack:
        for name in [name for name in sys.modules if name.startswith("mmstreet.") and hasattr(sys.modules[name], "on_host")]:
            stack.enter_context(patch.object(sys.modules[name], "on_host", lambda tensor: False))
        yield


class _Reads(TorchFunctionMode):
    """Notes methods that copy a tensor to the host."""

    def __init__(self, waits: list[HostWait], known: set[int]) -> None:
        super().__init__()
        self.waits, self.known = waits, known

    def __torch_function__(self, func, types, args=(), kwargs=None):
        to_host = func in _READS or (func is Tensor.to and any(isinstance(x, str) and x == "cpu" for x in args[1:]))
        if to_host and _storage(args[0]) in self.known:
            self.waits.append(_blame(func.__name__))
        return func(*args, **(kwargs or {}))


class _Ops(TorchDispatchMode):
    """Notes ops that wait, and follows what is computed from the device's tensors."""

    def __init__(self, waits: list[HostWait], known: set[int]) -> None:
        super().__init__()
        self.waits, self.known = waits, known

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        inputs = [x for x in tree_leaves((args, kwargs or {})) if isinstance(x, Tensor)]
        on_device = any(_storage(x) in self.known for x in inputs)
        name = func.overloadpacket.__name__
        if on_device and (name in _OPS or _selects(name, args) or (name == "repeat_interleave" and not (kwargs or {}).get("output_size"))):
            self.waits.append(_blame(name))
        result = func(*args, **(kwargs or {}))
        if name == "copy_" and len(args) > 2 and args[2] and _storage(args[0]) not in self.known:
            return result  # a copy to the host that nobody waits for
        for output in tree_leaves(result):
            if isinstance(output, Tensor):
                (self.known.add if on_device else self.known.discard)(_storage(output))
        return result


def _selects(name: str, args: tuple) -> bool:
    """Whether an indexing op has a boolean mask; setting one value there is a fill and does not wait."""
    if name not in ("index", "index_put", "index_put_", "_index_put_impl_", "_unsafe_index"):
        return False
    masks = [x for x in args[1] if isinstance(x, Tensor) and x.dtype in (torch.bool, torch.uint8)]
    fills = name != "index" and len(args) > 2 and args[2].numel() == 1 and len([x for x in args[1] if x is not None]) == 1
    return bool(masks) and not fills


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _blame(what: str) -> HostWait:
    """Find the innermost frame that is neither torch's nor a benchmark's."""
    frame = sys._getframe(1)
    while frame is not None:
        package = frame.f_globals.get("__name__", "").partition(".")[0]
        stem = Path(frame.f_code.co_filename).stem
        if package not in _SKIPPED and stem not in _SKIPPED and package != "benchmarks":
            return HostWait(package, f"{'/'.join(Path(frame.f_code.co_filename).parts[-3:])}:{frame.f_lineno}", what)
        frame = frame.f_back
    return HostWait("backward", "backward pass", what)
