"""Files inside tar archives, read without unpacking: an address says where a member begins, so that any one is reached in one step."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path
from typing import NamedTuple

_ADDRESS = re.compile(r"(.+\.tar)/@(\d+)\+(\d+)/(.+)", re.DOTALL)
_KEY = re.compile(r"((?:.*/)?[^./]+)\.([^/]*)", re.DOTALL)


class Member(NamedTuple):
    """A file in a tar archive: its name there, and first byte and number of its bytes."""

    name: str
    offset: int
    size: int


def address_of(shard: str | Path, member: Member) -> str:
    """Return the text that stands for a member in the place of a path, and ends with its name; :func:`read_member` reads it."""
    return f"{shard}/@{member.offset}+{member.size}/{member.name}"


def is_address(path: str | Path) -> bool:
    """Whether a path is an address of a member of a tar archive."""
    return ".tar/@" in (text := str(path)) and _ADDRESS.fullmatch(text) is not None


def shard_of(path: str | Path) -> str | None:
    """Return the archive of an address; ``None`` for a path that is none."""
    found = _ADDRESS.fullmatch(str(path))
    return None if found is None else found[1]


def read_member(address: str | Path) -> bytes:
    """Return the bytes of a member.

    Raises:
        FileNotFoundError: If there is no such archive.
        ValueError: If it is shorter than the address says; it was changed or cut off.
    """
    shard, offset, size, name = _ADDRESS.fullmatch(str(address)).groups()
    with open(shard, "rb") as file:
        file.seek(int(offset))
        data = file.read(int(size))
    if len(data) != int(size):
        raise ValueError(f"{shard} ends inside '{name}': it was cut off or written anew; fetch it again")
    return data


def index_tar(path: str | Path) -> dict[str, dict[str, Member]]:
    """Return the members of an archive by sample and ending, as WebDataset takes names apart: at the first dot of the file name.

    Raises:
        ValueError: If it is no whole, uncompressed tar archive, or a sample has two members of one ending.
    """
    samples: dict[str, dict[str, Member]] = {}
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                found = _KEY.fullmatch(info.name)
                if not info.isfile() or found is None:
                    continue
                key, ending = found[1], found[2].lower()
                members = samples.setdefault(key, {})
                if ending in members:
                    raise ValueError(f"{path} holds '{info.name}' twice")
                members[ending] = Member(info.name, info.offset_data, info.size)
    except (tarfile.TarError, EOFError) as error:
        raise ValueError(f"{path} is no whole, uncompressed tar archive ({error}); fetch it again, or unpack a .tar.gz to .tar") from error
    return samples


def shard_paths(path: str | Path) -> list[Path]:
    """Return the archives at a path, a ``.tar`` file or a folder, in the order of their names.

    Raises:
        FileNotFoundError: If there is none.
    """
    path = Path(path)
    found = sorted(path.rglob("*.tar")) if path.is_dir() else [path]
    if not found or not path.exists():
        raise FileNotFoundError(f"no *.tar files at {path}")
    return found
