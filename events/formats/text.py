"""The text of a file: it is unpacked, and its encoding is found by signs that are certain, or given."""

import codecs
import gzip
import io
from typing import IO, Any

_GZIP = b"\x1f\x8b"
_HEAD = 4096
_BUFFER = 256 * 1024
# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = {
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF8: "utf-8-sig",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
_OF_SEVERAL_BYTES = ("utf-16", "utf-32")
KEEP_BYTES = "events.keep_bytes"


class Content:
    """The bytes of a file, unpacked.

    Attributes:
        file: the unpacked bytes, from the beginning.
        encoding: the name of the encoding.
    """

    def __init__(self, file: IO[bytes], encoding: str | None = None) -> None:
        """
        Args:
            file: the bytes, which need not be seekable.
            encoding: the encoding; None: UTF-16 or UTF-32 if the first bytes say so, otherwise UTF-8.
        """
        head = file.read(_HEAD)
        if head.startswith(_GZIP):
            file = gzip.GzipFile(fileobj=_rejoined(head, file))  # type: ignore[assignment]
            head = file.read(_HEAD)
        self.file = _rejoined(head, file)
        self.encoding = encoding or _encoding_of(head)
        self._head = head

    @property
    def is_utf_8(self) -> bool:
        return codecs.lookup(self.encoding).name.startswith("utf-8")

    def begins_with(self, character: str) -> bool:
        """Return whether the first non-space character is `character`."""
        return self._head.decode(self.encoding, "ignore").lstrip("\ufeff \t\r\n").startswith(character)

    @property
    def name(self) -> str:
        """The name of the encoding for people."""
        return "UTF-8" if self.is_utf_8 else self.encoding

    def as_lines(self, *, keep: bool = False) -> "IO[bytes] | Recoded":
        """Return the lines in UTF-8; with `keep`, `rejected_lines` can write them with the bytes that they had."""
        return self.file if self.is_utf_8 and not keep else Recoded(self.as_text("\n"))

    def as_text(self, newline: str = "") -> IO[str]:
        """Return the text. Bytes that are not in the encoding become lone surrogates, which no valid event has."""
        encoding = "utf-8-sig" if self.is_utf_8 else self.encoding  # without a byte-order mark
        return io.TextIOWrapper(self.file, encoding, KEEP_BYTES, newline)


class Recoded:
    """The lines of a text in UTF-8, except for lost bytes: they stay lone surrogates, so that no reader takes them."""

    def __init__(self, text: IO[str]) -> None:
        self._text = text

    def readline(self, size: int, /) -> bytes:
        return self._text.readline(size).encode("utf-8", "surrogatepass")


def check_encoding(name: str) -> str:
    """Return `name` if Python has a text encoding of this name.

    Raises:
        LookupError: it has none.
    """
    io.TextIOWrapper(io.BytesIO(), name)
    return name


def has_lost_bytes(text: str) -> bool:
    """Return whether bytes of the text were not in its encoding."""
    return any("\udc00" <= character <= "\udcff" for character in text)


def _encoding_of(head: bytes) -> str:
    for mark, encoding in _MARKS.items():
        if head.startswith(mark):
            return encoding
    # A file of events begins with characters of ASCII. In UTF-16 every second byte of them is zero.
    if len(head) >= 4 and head[1] == head[3] == 0 != head[0]:
        return "utf-16-le"
    if len(head) >= 4 and head[0] == head[2] == 0 != head[1]:
        return "utf-16-be"
    return "utf-8"


def _rejoined(head: bytes, file: IO[bytes]) -> io.BufferedReader:
    """Return a file whose first bytes were read as if they had not been."""
    return io.BufferedReader(_Rejoined(head, file), _BUFFER)


class _Rejoined(io.RawIOBase):
    def __init__(self, head: bytes, file: IO[bytes]) -> None:
        self._head = head
        self._file: Any = file

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self._head[: len(buffer)] or self._file.read1(len(buffer))
        self._head = self._head[len(data) :]
        buffer[: len(data)] = data
        return len(data)


def _keep_bytes(error: UnicodeError) -> tuple[str | bytes, int]:
    """Use U+DC00 plus its value for each byte that cannot be decoded, as surrogateescape does from 0x80 on."""
    if isinstance(error, UnicodeDecodeError):
        return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end
    if isinstance(error, UnicodeEncodeError):
        lost = error.object[error.start : error.end]
        if all("\udc00" <= character <= "\udcff" for character in lost):
            if error.encoding.startswith(_OF_SEVERAL_BYTES):
                return "?" * len(lost), error.end  # they cannot write a single byte
            return bytes(ord(character) - 0xDC00 for character in lost), error.end
    raise error


codecs.register_error(KEEP_BYTES, _keep_bytes)
