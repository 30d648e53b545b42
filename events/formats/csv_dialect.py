"""The dialect of a CSV file: what separates its columns, and whether spaces after it are content.

The caller knows the names of some columns. The delimiter is the character that splits the header so that all of them
are in it. If several characters do, the delimiter must be given: a guess from the frequency of characters
(`csv.Sniffer`) is often wrong.
"""

import csv
import re
from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

from events.exceptions import InvalidEvent

NAMES = {",": "comma", ";": "semicolon", "\t": "tab", "|": "bar"}
_DECLARATION = re.compile(r'(?i)"?sep=([^\r\n"])\1*"?\r?\n?')
_QUOTED = re.compile(r'"[^"]*"')


class Dialect(NamedTuple):
    """The delimiter of a file, and whether spaces after it do not belong to the value."""

    delimiter: str
    skips_spaces: bool = False

    def reader(self, lines: Any) -> Any:
        return csv.reader(lines, delimiter=self.delimiter, skipinitialspace=self.skips_spaces, strict=True)

    def __str__(self) -> str:
        name = NAMES.get(self.delimiter, repr(self.delimiter))
        return name + (" (spaces after it skipped)" if self.skips_spaces else "")


def declared_delimiter(line: str) -> str | None:
    """Return the delimiter that a first line such as `sep=;` declares to spreadsheets; None if it is another line.

    Spreadsheets that save the file again fill the line up with delimiters: `sep=;;;`.
    """
    found = _DECLARATION.fullmatch(line)
    return found and found[1]


def dialect_of(sample: Sequence[str], columns: Collection[str], delimiter: str | None = None) -> Dialect:
    """Return the dialect of a file.

    Args:
        sample: the first lines, from the header on.
        columns: names in the header.
        delimiter: the delimiter, if it is known.

    Raises:
        InvalidEvent: no delimiter, or more than one, splits the header so that it has all the columns.
    """
    headers: dict[Dialect, list[str]] = {}
    for each in [delimiter] if delimiter else NAMES:
        for skips_spaces in (False, True):
            dialect = Dialect(each, skips_spaces)
            try:
                headers[dialect] = next(dialect.reader(iter(sample)), [])
            except csv.Error as error:
                reason = error
    if not headers:
        raise InvalidEvent("header", f"is not CSV: {reason}")
    fitting = [dialect for dialect, header in headers.items() if set(columns) <= set(header)]
    if not fitting:
        raise _missing(max(headers.values(), key=len), columns, delimiter)
    if len({dialect.delimiter for dialect in fitting}) > 1:
        raise InvalidEvent("delimiter", "is not certain, because the header has only one column; pass --delimiter")
    if len(fitting) > 1:  # both readings have the named columns
        return fitting[_has_spaces(sample, fitting[0].delimiter)]
    return fitting[0]


def _missing(header: Sequence[str], columns: Collection[str], delimiter: str | None) -> InvalidEvent:
    name = next(column for column in columns if column not in header)
    # Two names that look the same differ in spaces or invisible characters.
    shown = ", ".join(
        column if column.isprintable() and column.strip() == column else repr(column) for column in header
    )
    other = "" if delimiter else ". If another character separates the columns, pass --delimiter"
    return InvalidEvent("column", f"{name!r} is not in the header, which has: {shown or 'none'}{other}")


def _has_spaces(sample: Sequence[str], delimiter: str) -> bool:
    """Return whether a space follows each delimiter outside quotations, in all rows after the header."""
    rows = _QUOTED.sub('""', "".join(sample)).splitlines()[1:]
    followers = [cell[:1] for row in rows for cell in row.split(delimiter)[1:]]
    return " " in followers and all(follower in ("", " ") for follower in followers)
