"""Pictures and videos behind an address, fetched before they are predicted."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import unquote, urlsplit
from urllib.request import Request, urlopen

from mmstreet.files.atomic import PARTIAL, atomic_path

MAX_BYTES = 2 << 30
"""Larger files are refused; they are fetched more safely by a download tool."""
_TIMEOUT_S = 20
_SUFFIXES = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp", "image/bmp": ".bmp", "image/tiff": ".tif"}
_VIDEO_SUFFIXES = {"video/mp4": ".mp4", "video/quicktime": ".mov", "video/webm": ".webm", "video/x-matroska": ".mkv"}


def is_address(place: object) -> bool:
    """Tell whether something is an address of the web."""
    return str(place).lower().startswith(("http://", "https://"))


def fetch_source(address: str, folder: str | Path) -> Path:
    """Return the file behind an address, downloaded unless it is there already.

    Args:
        address: ``http://…`` or ``https://…``.
        folder: Where it goes, under the name in the address, or a hash if there is none.

    Raises:
        OSError: If it cannot be fetched whole; nothing is left.
        ValueError: If the address leads to a page, or to something too large.
    """
    name = Path(unquote(urlsplit(address).path)).name
    stem, suffix = (name[: -len(Path(name).suffix)] if Path(name).suffix else name), Path(name).suffix
    short = hashlib.sha256(address.encode()).hexdigest()[:8]
    stem = f"{''.join(c if c.isalnum() or c in '-_' else '_' for c in stem)[:60]}_{short}"
    there = sorted(Path(folder).glob(f"{stem}.*"))
    if there:
        return there[0]
    try:
        with urlopen(Request(address, headers={"User-Agent": "mmstreet"}), timeout=_TIMEOUT_S) as answer:
            kind = answer.headers.get_content_type()
            if kind == "text/html":
                raise ValueError(f"'{address}' is a page, not a picture or a video; give the address of the file itself")
            length = int(answer.headers.get("Content-Length") or 0)
            if length > MAX_BYTES:
                raise ValueError(f"'{address}' has {length:,} bytes, the limit is {MAX_BYTES:,}; download it and give its path")
            path = Path(folder) / f"{stem}{({**_SUFFIXES, **_VIDEO_SUFFIXES}.get(kind) or suffix).lower()}"
            with atomic_path(path, partial_suffix=PARTIAL) as temporary:
                with open(temporary, "wb") as file:
                    shutil.copyfileobj(answer, file)
                if length and temporary.stat().st_size != length:
                    raise OSError(f"'{address}' broke off after {temporary.stat().st_size:,} of {length:,} bytes; run the same again")
            return path
    except HTTPError as error:
        raise OSError(f"'{address}' cannot be fetched ({error.code} {error.reason}); download it yourself and give its path") from error
    except (OSError, TimeoutError) as error:
        if str(error).startswith("'"):
            raise
        reason = getattr(error, "reason", error)
        raise OSError(f"'{address}' cannot be fetched ({reason}); download it where there is a network and give its path") from error
