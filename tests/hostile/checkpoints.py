"""Checkpoints that are no checkpoints, cut, of wrong types, not finite, or made to run code."""

from __future__ import annotations

import pickle
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch

from mmstreet.engine.safe_load import read_checkpoint
from tests.hostile.kinds import Cases, hostile


class Payload:
    """Writes a file when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = str(path)

    def __reduce__(self) -> tuple:
        return open, (self.path, "w")


def damaged(data: bytes, rng: np.random.Generator) -> Iterator[tuple[str, bytes]]:
    """Damage a file in every way that a disk, a download or a wrong name does."""
    yield "empty file", b""
    yield "text", b"this is not a checkpoint\n"
    yield "random bytes", rng.bytes(3000)
    yield "a pickle of an int", pickle.dumps(3)
    yield "an HTML page", b"<!DOCTYPE html><html><body>404</body></html>"
    for share in (0.01, 0.3, 0.7, 0.99):
        yield f"cut at {share:.0%}", data[: int(len(data) * share)]
    start = data.find(b"PK\x01\x02")
    for i in range(12):
        place = int(rng.integers(60, start))
        yield f"bit {i} flipped at {place}", data[:place] + struct.pack("B", data[place] ^ 1 << int(rng.integers(8))) + data[place + 1 :]


@hostile("checkpoint files: damaged")
def damaged_files(folder: Path, rng: np.random.Generator) -> Cases:
    path = folder / "sound.pth"
    torch.save({"state_dict": {"w": torch.arange(2000.0)}, "meta": {"epoch": 1}}, path)
    for i, (label, data) in enumerate(damaged(path.read_bytes(), rng)):
        file = folder / f"{i}.pth"
        file.write_bytes(data)
        yield label, _read(file)


def _read(path: Path) -> Callable[[], None]:
    def read() -> None:
        # A flipped bit in the padding between the parts of the archive changes nothing.
        assert torch.equal(read_checkpoint(path)["state_dict"]["w"], torch.arange(2000.0)), "other weights were read"

    return read
