"""Reading text files as UTF-8, with or without a byte order mark; a file in another encoding is named."""

from __future__ import annotations

import codecs
from pathlib import Path


def check_encoding(path: str | Path) -> None:
    """Refuse UTF-16 and UTF-32, by the byte order mark or by zero bytes at the beginning, and pipes and devices, which may have no end.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file begins like one of them, or is no regular file.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"no file at {path}")
    if not Path(path).is_file():
        raise ValueError(f"{path} is no regular file but a folder, pipe or device; give a text file")
    with open(path, "rb") as file:
        _check_bytes(file.read(4), path)


def _check_bytes(data: bytes, path: str | Path) -> None:
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)) or b"\0" in data:
        raise ValueError(f"{path} is not UTF-8 text, it looks like UTF-16, as Windows' editors and PowerShell write it; save it as UTF-8")


def read_text(path: str | Path) -> str:
    """Return a file's text without the byte order mark.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not UTF-8; the message names the file and the first byte that is not.
    """
    check_encoding(path)
    data = Path(path).read_bytes()
    _check_bytes(data, path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8 text (byte {data[error.start]:#04x} at position {error.start}); save it as UTF-8") from error
