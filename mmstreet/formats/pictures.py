"""The image files that labels belong to: their names where a format drops the ending, and their bytes."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from pathlib import Path, PurePosixPath
from typing import Generic, TypeVar

from mmstreet.files.atomic import write_bytes
from mmstreet.files.images import PICTURE_NAME, ImageFileError, open_header, read_regular_file
from mmstreet.files.walk import walk_files
from mmstreet.formats.records import ImageRecord
from mmstreet.formats.rules import RecordError

Item = TypeVar("Item")


def image_names(stems: Iterable[str], image_root: Path | None, suffix: str) -> list[str]:
    """Return the image of each label file.

    Args:
        stems: Paths of label files below their folder, without ending.
        image_root: Folder of the images; ``None`` trusts ``suffix``.
        suffix: Ending of an image that is not there.

    Raises:
        ValueError: If two images that are asked for differ in their ending only.
    """
    found: dict[str, list[str]] = {}
    for path in walk_files(image_root) if image_root is not None else ():
        if PICTURE_NAME.search(path):
            found.setdefault(_plain(PurePosixPath(path).with_suffix("").as_posix()), []).append(path)
    return [_choose(found.get(_plain(stem), [stem + suffix]), image_root) for stem in stems]


def _choose(paths: list[str], image_root: Path | None) -> str:
    """Return the image among files of one name: the only one, or the only JPEG, since label maps are PNG files."""
    photos = [path for path in paths if path.lower().endswith((".jpg", ".jpeg"))] if len(paths) > 1 else paths
    if len(photos) != 1:
        raise ValueError(f"{' and '.join(map(repr, paths))} in {image_root} have the same name but for their ending; remove or rename one")
    return photos[0]


def _plain(name: str) -> str:
    """Return a name with composed accents; macOS takes them apart."""
    return unicodedata.normalize("NFC", name)


def picture_bytes(image: ImageRecord, *, where: str) -> bytes:
    """Return the bytes of an image's file.

    Args:
        image: Its record.
        where: The format that holds pictures, for the message.

    Raises:
        RecordError: If the file is missing or no regular file.
        ValueError: If nobody knows where the pictures are.
    """
    if image.picture is None:
        raise ValueError(f"{where} holds the pictures themselves; say where they are with --images FOLDER")
    if isinstance(image.picture, bytes):
        return image.picture
    try:
        return read_regular_file(image.picture)
    except FileNotFoundError as error:
        raise RecordError("image file is missing", f"no image at {image.picture}") from error
    except (ImageFileError, OSError) as error:
        raise RecordError("image file is unreadable", str(error)) from error


def refuse_taken(path: Path) -> None:
    """Refuse to write over a file of the same conversion, which a disk that ignores capitals would do in silence."""
    if path.exists():
        raise OSError(
            f"two images would be written to {path}: on this disk, names that differ in capitals only are one; rename one of them"
        )


def image_size(data: bytes) -> tuple[int, int] | None:
    """Return height and width of an image file that is in memory, ``None`` if it is none."""
    try:
        picture = open_header(data, "the image")
    except ImageFileError:
        return None
    return None if picture is None else picture.size[::-1]


def copy_picture(image: ImageRecord, path: Path) -> None:
    """Copy an image's file to a path.

    Raises:
        RecordError: If the file is missing or no regular file.
        OSError: If there is a file of that name, or no space.
    """
    refuse_taken(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_bytes(picture_bytes(image, where="the data set"), path, durable=False)


_SPLITS = {name: name for name in ("train", "val", "test")} | {"training": "train", "validation": "val", "valid": "val", "testing": "test"}
"""What folders of splits are called."""


def split_folder(name: str) -> tuple[str, str] | None:
    """Return the split that a folder in an image's path names, and the path up to that folder; ``None`` if no folder does.

    Example:
        >>> split_folder("images/validation/a/1.jpg")
        ('val', 'images/validation')
    """
    parts = name.split("/")[:-1]
    return next(((_SPLITS[part], "/".join(parts[: i + 1])) for i, part in enumerate(parts) if part in _SPLITS), None)


def split_of(image: ImageRecord) -> str:
    """Return the split of an image: the one that is told, else that of a folder in its path, else ``'train'``."""
    found = split_folder(image.name)
    return image.split or ("train" if found is None else found[0])


class ByEnd(Generic[Item]):
    """Things of images, found by the longest end of an image's path that belongs to one of them alone; endings of names do not count.

    Example:
        >>> places = ByEnd({"run/a/1.png": "first", "run/b/1.png": "second"})
        >>> places.get("val/a/1.jpg"), places.get("1.jpg")
        ('first', None)
    """

    def __init__(self, items: Mapping[str, Item]) -> None:
        self._found: dict[str, Item | None] = {}
        for path, item in items.items():
            for end in _ends(path):
                self._found[end] = None if end in self._found else item

    def get(self, path: str) -> Item | None:
        """Return what belongs to an image, ``None`` if nothing does, or several do."""
        return next((self._found[end] for end in _ends(path) if end in self._found), None)


def _ends(path: str) -> list[str]:
    parts = PurePosixPath(path.replace("\\", "/")).with_suffix("").parts
    return ["/".join(parts[start:]) for start in range(len(parts))]
