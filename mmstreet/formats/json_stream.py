"""Reading label files in JSON: whole, or a long list element by element in the memory of one.

A printed Python literal (``{'name': 'a.jpg', 'crowd': False}``), as notebooks and reports show annotations, is read as well.
"""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from mmstreet.files.text import check_encoding, read_text

CHUNK = 1 << 20
"""Characters read at a time."""
MAX_LITERAL = 1 << 25
"""Characters of the longest Python literal read; Python's parser needs about a hundred times its memory."""


def compact_json(value: Any) -> str:
    """Return JSON without blanks; NaN is refused, because no other reader takes it."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return the dict of a JSON object's pairs; ``json`` alone keeps the last of equal keys and loses the others.

    Raises:
        ValueError: If a key is there twice.
    """
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key '{next(name for name in names if names.count(name) > 1)}' is there twice in one object")
    return found


def load_json(path: str | Path) -> Any:
    """Return what a JSON file, or a file that holds one Python literal, says.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not UTF-8, cut off or malformed; the message names it.
    """
    text = read_text(path)
    if is_python_literal(text):
        return _parse_literal(text, path)
    try:
        return json.loads(text, object_pairs_hook=unique_keys)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"{path} is not whole JSON ({error}); fetch or write the file again") from error


def is_python_literal(text: str) -> bool:
    """Whether the first key or value is in single quotes, which Python prints and JSON does not know."""
    return re.match(r"[\s\[{]*'", text) is not None


def _parse_literal(text: str, path: str | Path) -> Any:
    try:
        if len(text) > MAX_LITERAL:
            raise ValueError(f"it has {len(text)} characters, at most {MAX_LITERAL} are read")
        return json.loads(json.dumps(ast.literal_eval(text.strip())))  # tuples become lists, foreign types are refused
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError) as error:
        raise ValueError(f"{path} is a Python literal that cannot be read ({error}); write it with json.dump") from error


_DECODER = json.JSONDecoder(object_pairs_hook=unique_keys)


class JsonElements:
    """The elements of a file's top-level list, or of the list under one key of its top-level object.

    Args:
        path: The JSON file, UTF-8.
        key: Key of the list when the top level is an object.
        element_keys: An object without that list that has all these keys is itself the only element.

    Attributes:
        is_object: Whether the top level is an object; known at the first element.
        header: The object's other entries; complete once the iteration has ended.

    Raises:
        ValueError: While iterating, if the file is empty, cut off or malformed, or has no such list; the message names
            the file, the place and the number of elements before it.
    """

    def __init__(self, path: str | Path, *, key: str, element_keys: Collection[str] = ()):
        self.path, self.key, self.element_keys = Path(path), key, element_keys
        self.is_object = False
        self.header: dict[str, Any] = {}
        self._count = 0

    def __iter__(self) -> Iterator[Any]:
        self.header, self._count = {}, 0
        check_encoding(self.path)
        with open(self.path, encoding="utf-8-sig") as file:
            self._file, self._text, self._pos, self._passed, self._ended = file, "", 0, 0, False
            while len(self._text) < 16 and self._refill():
                pass
            if is_python_literal(self._text):
                yield from self._whole(load_json(self.path))
                return
            self.is_object = self._take("[{") == "{"
            yield from self._entries() if self.is_object else self._elements()
            if self._peek():
                raise self._error("there is more text after the end")

    def _whole(self, content: Any) -> Iterator[Any]:
        self.is_object = isinstance(content, dict)
        elements = content.pop(self.key, None) if self.is_object else content
        if self.is_object:
            self.header = content
        yield from elements if isinstance(elements, list) else self._only_element()

    def _only_element(self) -> list[dict]:
        if not self.element_keys or not set(self.element_keys) <= self.header.keys():
            raise ValueError(f"{self.path} has no list '{self.key}'; it has: {', '.join(self.header) or 'nothing'}")
        return [self.header]

    def _entries(self) -> Iterator[Any]:
        found = False
        for _ in self._items("}"):
            name = self._value()
            if not isinstance(name, str):
                raise self._error("a key must be text")
            self._take(":")
            if name in self.header or (found and name == self.key):
                raise self._error(f"the key '{name}' is there twice in one object")
            if name == self.key and self._peek() == "[":
                found = True
                self._take("[")
                yield from self._elements()
            else:
                self.header[name] = self._value()
        if not found:
            yield from self._only_element()

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
                value, end = _DECODER.raw_decode(self._text, self._pos)
                if self._ended or self._text[end : end + 1] in set(", \t\r\n]}:"):
                    break  # a number at the end of the text may go on in the next chunk, even as "1.5" does in "1.5e3"
            except json.JSONDecodeError as error:
                if self._ended:
                    raise self._error("the file ends too early" if error.pos >= len(self._text) else error.msg, error.pos) from error
            except (ValueError, RecursionError) as error:  # a number of more digits, or more brackets, than Python reads
                raise self._error(str(error)) from error
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
