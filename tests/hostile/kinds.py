"""Kinds of hostile input: a kind yields calls, and each call has to end in a result or in one sentence of our own errors."""

from __future__ import annotations

import contextlib
import importlib
import io
import pkgutil
import warnings
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from mmstreet.engine.errors import TrainingStopped

Cases = Iterator[tuple[str, Callable[[], object]]]


@dataclass(frozen=True)
class Kind:
    """One row of the table.

    Attributes:
        name: What the inputs are, e.g. ``'checkpoints: test'``.
        cases: Called with an empty folder and a seeded generator of random numbers; yields a label and a call for each input;
            a case makes its file when it is called.
        errors: Our errors that may end a call; a command may also leave with ``SystemExit`` and a sentence.
        refused: Every call has to end in a sentence: a result would be of something unsound.
    """

    name: str
    cases: Callable[[Path, np.random.Generator], Cases]
    errors: tuple[type[Exception], ...]
    refused: bool


@dataclass
class Count:
    """How the inputs of a kind ended."""

    results: int = 0
    sentences: int = 0
    failures: list[str] = field(default_factory=list)

    @property
    def tried(self) -> int:
        """Number of inputs."""
        return self.results + self.sentences + len(self.failures)


KINDS: dict[str, Kind] = {}


def hostile(name: str, *, errors: tuple[type[Exception], ...] = (TrainingStopped,), refused: bool = False) -> Callable:
    """Register a generator of cases as a kind; see :class:`Kind`."""

    def register(cases: Callable) -> Callable:
        KINDS[name] = Kind(name, cases, errors, refused)
        return cases

    return register


def find_kinds() -> dict[str, Kind]:
    """Import the modules of this package, so that each registers its kinds."""
    package = importlib.import_module(__package__)
    for module in pkgutil.iter_modules(package.__path__):
        if not module.name.startswith(("test_", "__")):
            importlib.import_module(f"{__package__}.{module.name}")
    return KINDS


def count(kind: Kind, folder: Path, *, seed: int, limit: int | None = None) -> Count:
    """Run the cases of a kind, silently, or only ``limit`` of them; kinds draw from their own numbers, so one changes no other."""
    found = Count()
    rng = np.random.default_rng([seed, zlib.crc32(kind.name.encode())])
    cases = list(kind.cases(folder, rng))
    for i in range(len(cases)) if limit is None else sorted(rng.permutation(len(cases))[:limit]):
        label, call = cases[i]
        try:
            with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()), warnings.catch_warnings():
                warnings.simplefilter("ignore")
                call()
        except kind.errors as error:
            text = str(error)
        except SystemExit as stop:
            text = stop.code if isinstance(stop.code, str) else None if not stop.code else f"exit code {stop.code}"
        except Exception as error:
            found.failures.append(f"{label}: {type(error).__name__}: {str(error).strip().partition(chr(10))[0][:200]}")
            continue
        else:
            text = None
        if text is None and kind.refused:
            found.failures.append(f"{label}: was taken for sound")
        elif text is None:
            found.results += 1
        elif not text.strip() or "\n" in text.strip():
            found.failures.append(f"{label}: not one sentence: {text[:200]!r}")
        else:
            found.sentences += 1
    return found
