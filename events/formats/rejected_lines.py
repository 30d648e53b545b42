"""The bad lines of an import as a file: as they were, so that the file can be imported once they are corrected."""

import io
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from .outputs import unwritable, written
from .text import KEEP_BYTES

_PART = 64 * 1024


class RejectedLines:
    """A text file for lines that were kept as UTF-8."""

    def __init__(self, file: IO[str], path: Path) -> None:
        self._file = file
        self._path = path
        self._ended = True

    def add(self, raw: bytes | IO[bytes]) -> None:
        """Write a line; undecodable bytes stay as they were.

        Raises:
            Unwritable: the file cannot be written.
        """
        with unwritable(self._path):
            self._add(io.BytesIO(raw) if isinstance(raw, bytes) else raw)

    def _add(self, raw: IO[bytes]) -> None:
        raw.seek(0)
        if not self._ended:  # the last line of the file, which had no end, is not the last one here
            self._file.write("\n")
        text = io.TextIOWrapper(raw, "utf-8", "surrogatepass", "")
        while part := text.read(_PART):
            self._file.write(part)
            self._ended = part.endswith(("\n", "\r"))
        text.close()


@contextmanager
def rejected_lines(path: Path, encoding: str) -> Iterator[RejectedLines]:
    """Write a file of bad lines in the encoding of the file that they come from.

    Raises:
        Unwritable: the file cannot be written, or the block has raised an OSError.
    """
    with written(path) as file:
        text = io.TextIOWrapper(file, encoding, KEEP_BYTES, "")
        try:
            yield RejectedLines(text, path)
            text.flush()
        finally:
            with suppress(OSError):
                text.detach()
