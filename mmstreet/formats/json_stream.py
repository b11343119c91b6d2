"""Reading the elements of a long JSON list one by one, so that a split's labels need no more memory than one image's."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

CHUNK = 1 << 20
"""Characters read at a time."""


class JsonElements:
    """The elements of a file's top-level list, or of the list under one key of its top-level object.

    Args:
        path: The JSON file, UTF-8.
        key: Key of the list when the top level is an object.

    Attributes:
        header: The object's other entries; complete once the iteration has ended.

    Raises:
        ValueError: While iterating, if the file is empty, cut off or malformed, or has no such list; the message names
            the file, the place and the number of elements before it.
    """

    def __init__(self, path: str | Path, *, key: str):
        self.path, self.key = Path(path), key
        self.header: dict[str, Any] = {}
        self._count = 0

    def __iter__(self) -> Iterator[Any]:
        self.header, self._count = {}, 0
        with open(self.path, encoding="utf-8-sig") as file:
            self._file, self._text, self._pos, self._passed, self._ended = file, "", 0, 0, False
            yield from self._elements() if self._take("[{") == "[" else self._entries()
            if self._peek():
                raise self._error("there is more text after the end")

    def _entries(self) -> Iterator[Any]:
        found = False
        for _ in self._items("}"):
            name = self._value()
            if not isinstance(name, str):
                raise self._error("a key must be text")
            self._take(":")
            if name == self.key and self._peek() == "[":
                found = True
                self._take("[")
                yield from self._elements()
            else:
                self.header[name] = self._value()
        if not found:
            raise ValueError(f"{self.path} has no list '{self.key}'; it has: {', '.join(self.header) or 'nothing'}")

    def _elements(self) -> Iterator[Any]:
        for _ in self._items("]"):
            element = self._value()
            self._count += 1
            yield element

    def _items(self, closing: str) -> Iterator[None]:
        """Stop before each item, and end behind the closing bracket."""
        if self._peek() == closing:
            self._take(closing)
            return
        while True:
            yield
            if self._take("," + closing) == closing:
                return

    def _peek(self) -> str:
        """The next character that is no blank, without passing it; empty at the end of the file."""
        while True:
            while self._pos < len(self._text) and self._text[self._pos] in " \t\r\n":
                self._pos += 1
            if self._pos < len(self._text):
                return self._text[self._pos]
            if not self._refill():
                return ""

    def _take(self, allowed: str) -> str:
        character = self._peek()
        if not character:
            raise self._error("the file ends too early" if self._passed or self._text else "the file is empty")
        if character not in allowed:
            raise self._error(f"expected {' or '.join(allowed)}, found {character}")
        self._pos += 1
        return character

    def _value(self) -> Any:
        """Decode one value; text that ends inside it is read on, twice as much each time."""
        self._peek()
        while True:
            try:
                value, end = json.JSONDecoder().raw_decode(self._text, self._pos)
                if self._ended or self._text[end : end + 1] in set(", \t\r\n]}:"):
                    break  # a number at the end of the text may go on in the next chunk, even as "1.5" does in "1.5e3"
            except json.JSONDecodeError as error:
                if self._ended:
                    raise self._error("the file ends too early" if error.pos >= len(self._text) else error.msg, error.pos) from error
            self._refill()
        self._pos = end
        return value

    def _refill(self) -> bool:
        try:
            more = self._file.read(max(CHUNK, len(self._text) - self._pos))
        except UnicodeDecodeError as error:
            raise self._error(f"the text is not UTF-8 ({error.reason})") from error
        self._passed += self._pos
        self._text, self._pos = self._text[self._pos :] + more, 0
        self._ended = not more
        return bool(more)

    def _error(self, what: str, place: int | None = None) -> ValueError:
        place = self._passed + (self._pos if place is None else place)
        where = f"at character {place} after {self._count} complete elements"
        return ValueError(f"{self.path} is not whole JSON: {what}, {where}; fetch or write the file again")
