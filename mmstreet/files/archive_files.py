"""The files of a zip archive or of a folder, read alike."""

from __future__ import annotations

import os
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from mmstreet.files.images import read_regular_file
from mmstreet.files.walk import walk_files

_MAX_MEMBER = 1 << 28
"""Bytes of the largest file that is read from an archive."""


@dataclass(frozen=True)
class ArchiveFiles:
    """The files of an archive or of a folder, by their paths inside.

    Attributes:
        path: The ``.zip`` file or the folder.
    """

    path: Path

    def names(self) -> list[str]:
        """Return the paths of all files, sorted.

        Raises:
            ValueError: If the archive is damaged; the message names it.
        """
        if Path(self.path).is_dir():
            return sorted(walk_files(self.path))
        return sorted(name for name in self._archive().namelist() if not name.endswith("/"))

    def read(self, name: str) -> bytes:
        """Return the bytes of a file.

        Raises:
            FileNotFoundError: If there is none of that name.
            ValueError: If it is too large, damaged or encrypted; the message names it.
        """
        if Path(self.path).is_dir():
            return read_regular_file(Path(self.path) / name)
        archive = self._archive()
        try:
            if archive.getinfo(name).file_size > _MAX_MEMBER:
                raise ValueError(f"{self.path}: '{name}' has {archive.getinfo(name).file_size} bytes, at most {_MAX_MEMBER} are read")
            return archive.read(name)
        except KeyError as error:
            raise FileNotFoundError(f"{self.path} holds no '{name}'") from error
        except (zipfile.BadZipFile, zlib.error, RuntimeError, NotImplementedError, EOFError, OSError) as error:
            raise ValueError(f"{self.path}: '{name}' is damaged or encrypted ({error})") from error

    def _archive(self) -> zipfile.ZipFile:
        return _open_archive(self.path, os.stat(self.path).st_mtime_ns)


@lru_cache(maxsize=1)
def _open_archive(path: Path, _changed: int) -> zipfile.ZipFile:
    """Open an archive; it stays open, for its table of contents is read anew each time."""
    try:
        return zipfile.ZipFile(path)
    except zipfile.BadZipFile as error:
        raise ValueError(f"{path} is no whole zip archive ({error}); fetch or write it again") from error
