"""Files to write: a plain file gets its content all at once, when it is complete; a pipe or a device as it comes."""

import gzip
import io
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from events import handler_errors
from events.exceptions import EventStoreError

# Links to open files of this process: a rename would put another file in their place.
_OPEN_FILES = ("/dev/fd/", "/dev/std", "/proc/")


class Unwritable(EventStoreError):
    """An output cannot be written."""

    def __init__(self, name: object, error: OSError) -> None:
        super().__init__(f"{name} cannot be written: {error.strerror or error}")


@contextmanager
def unwritable(name: object) -> Iterator[None]:
    """Raise `Unwritable` in place of an OSError; an error of a handler stays as it is."""
    try:
        yield
    except OSError as error:
        if handler_errors.failure(error):
            raise
        raise Unwritable(name, error) from error


@contextmanager
def written(path: Path) -> Iterator[IO[bytes]]:
    """Open a file to write; its content is packed if the name ends in .gz.

    A plain file is written as a draft beside it, which takes its place at the end of the block. So no part of a file
    looks like all of it, and an error, Ctrl-C or a full disk leaves the old file as it was. A symbolic link stays,
    and the file that it leads to is replaced. Anything else, such as a FIFO or `/dev/stdout`, is written directly.

    Raises:
        Unwritable: the file cannot be written, or the block has raised an OSError.
    """
    with unwritable(path), _written(path) as file:
        yield file


@contextmanager
def _written(path: Path) -> Iterator[IO[bytes]]:
    target = Path(os.path.realpath(path))
    if _is_standard_output(path):
        with standard_output(sys.__stdout__) as file:
            yield file
    elif str(path.absolute()).startswith(_OPEN_FILES) or (target.exists() and not target.is_file()):
        with path.open("wb") as file, _packed(file, path) as content:
            yield content
    else:
        draft = target.with_name(f"{target.name[:40]}.{secrets.token_hex(4)}.part")
        with _draft(draft, target) as file:
            with _packed(file, path) as content:
                yield content
            file.flush()
            os.fsync(file.fileno())


def standard_output(stream: Any) -> IO[bytes]:
    """Return a file for bytes that go where `stream` writes its text to, whatever the encoding of the stream.

    It has its own buffer: after an error, nothing is left that Python would try to write again when the process ends.

    Raises:
        OSError: it cannot be written.
    """
    if not stream.writable():
        raise io.UnsupportedOperation("standard output is not open for writing")
    try:
        number = stream.fileno()
    except (AttributeError, OSError):  # a file in memory, as in tests
        return _InMemory(stream)  # type: ignore[return-value]
    stream.flush()
    return os.fdopen(os.dup(number), "wb")


class _InMemory(io.RawIOBase):
    def __init__(self, stream: Any) -> None:
        self._stream = stream

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._stream.write(bytes(data).decode())
        return len(data)


def _is_standard_output(path: Path) -> bool:
    """Return whether a path leads to what standard output is, such as `/dev/stdout`, also if that is a plain file."""
    with suppress(AttributeError, OSError, ValueError):
        return os.path.samestat(path.stat(), os.fstat(sys.__stdout__.fileno()))  # type: ignore[union-attr]
    return False


@contextmanager
def _draft(draft: Path, target: Path) -> Iterator[IO[bytes]]:
    try:
        with draft.open("xb") as file:
            if target.exists():
                shutil.copymode(target, draft)
            yield file
        draft.replace(target)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)


@contextmanager
def _packed(file: IO[bytes], path: Path) -> Iterator[IO[bytes]]:
    if path.suffix.lower() != ".gz":
        yield file
        return
    with gzip.GzipFile(fileobj=file, filename=path.stem, mode="wb") as packed:
        yield packed  # type: ignore[misc]
