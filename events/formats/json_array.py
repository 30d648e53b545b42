"""Files of events as one JSON array, read element by element; errors name the number of the element."""

import json
from collections.abc import Iterator
from typing import IO

from events.types import NewEvent

from .files import Line, LostLine, json_reader, longest_line

_CHUNK = 64 * 1024  # characters
_SPACES = " \t\n\r\ufeff"
# Finds the end of an element; `json_reader` reads its values.
_FINDER = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


def read_json_array(file: IO[str], kind: type[NewEvent] = NewEvent, *, encoding: str | None = None) -> Iterator[Line]:
    """Return an iterator over the events of a JSON array of objects; only one element is in memory at a time.

    Each line keeps its JSON text as one line. After text that is not JSON it cannot be told where the next element
    begins, so nothing after it is read.

    Args:
        kind, encoding: see `read_json_lines`.
    """
    read = json_reader(kind, encoding)
    elements = _Elements(file)
    while True:
        try:
            text = elements.next()
        except LostLine as error:
            yield Line(elements.number, None, error, unit="element")
            return
        if text is None:
            return
        yield read(elements.number, text)._replace(unit="element", raw=text.replace(b"\n", b" ") + b"\n")


class _Elements:
    def __init__(self, file: IO[str]) -> None:
        self._file = file
        self._longest = longest_line()
        self._text = ""
        self._place = 0
        self.number = 0

    def next(self) -> bytes | None:
        """Return the JSON text of the next element; None after the last one.

        Raises:
            LostLine: there is no end of an element, or of the array.
        """
        self.number += 1
        if self.number == 1:
            self._take("[")
            if self._peek() != "]":
                return self._element()
        if self._take(",]") == ",":
            return self._element()
        if self._peek():
            raise LostLine("array", "has ended, but text follows; remove the text, or import it by itself")
        return None

    def _element(self) -> bytes:
        self._peek()
        has_more = True
        while True:
            try:
                _, end = _FINDER.raw_decode(self._text, self._place)
            except RecursionError:
                raise LostLine("element", "is nested too deep; nothing after it can be imported") from None
            except ValueError as reason:
                end, error = 0, str(reason).partition(": line")[0]
            # An element that ends with the text that was read so far may be the beginning of a longer one.
            if end and (end < len(self._text) or not has_more):
                text = self._text[self._place : end]
                self._place = end
                return text.encode("utf-8", "surrogatepass")
            if not has_more:
                raise LostLine("element", f"is not valid JSON: {error}; nothing after it can be imported")
            if len(self._text) - self._place > self._longest:
                raise LostLine("element", f"is longer than {self._longest:,} characters, or is not valid JSON")
            has_more = self._read_more()

    def _peek(self) -> str:
        """Return the next non-space character; "" at the end of the file."""
        while True:
            while self._place < len(self._text):
                if self._text[self._place] not in _SPACES:
                    return self._text[self._place]
                self._place += 1
            if not self._read_more():
                return ""

    def _take(self, expected: str) -> str:
        found = self._peek()
        if not found or found not in expected:
            what = repr(found) if found else "the end of the file"
            raise LostLine("array", f"has {what} where {' or '.join(expected)} must be; correct the JSON")
        self._place += 1
        return found

    def _read_more(self) -> bool:
        """Read as many characters as there are unread ones, so that a long element is not searched too often."""
        rest = self._text[self._place :]
        more = self._file.read(max(_CHUNK, len(rest)))
        self._text, self._place = rest + more, 0
        return bool(more)
