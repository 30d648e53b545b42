"""Bytes become text by certain signs, and bytes that are no text are kept."""

import gzip
import io

import pytest

from events.formats.text import KEEP_BYTES, Content, check_encoding, has_lost_bytes

TEXT = 'case,"é"\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le", "utf-16-be"])
@pytest.mark.parametrize("is_packed", [False, True])
def test_signs_of_an_encoding_are_certain(encoding: str, is_packed: bool) -> None:
    data = TEXT.encode(encoding)
    content = Content(io.BytesIO(gzip.compress(data) if is_packed else data))
    assert content.encoding == encoding
    assert content.as_text().read() == TEXT


@pytest.mark.parametrize("text", ["", "a", "ab", "1,2", "[]"])
def test_short_texts_are_utf_8(text: str) -> None:
    assert Content(io.BytesIO(text.encode())).as_text().read() == text


def test_file_that_cannot_be_sought_is_read_whatever_the_size_of_its_parts() -> None:
    class Pipe(io.RawIOBase):
        def __init__(self) -> None:
            self.left = TEXT.encode() * 5000

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: memoryview) -> int:
            part, self.left = self.left[:3], self.left[3:]
            buffer[: len(part)] = part
            return len(part)

    assert Content(io.BufferedReader(Pipe())).as_text().read() == TEXT * 5000


@pytest.mark.parametrize(
    ("encoding", "data"),
    [("utf-8", b"a\xff\x80b"), ("ascii", b"a\xff"), ("ascii", "é".encode()), ("windows-1252", b"a\x81\xe9")],
)
def test_bytes_that_are_no_text_are_kept(encoding: str, data: bytes) -> None:
    text = Content(io.BytesIO(data), encoding).as_text().read()
    assert has_lost_bytes(text)
    assert text.encode(encoding, KEEP_BYTES) == data
    assert text.encode("utf-8", "surrogatepass").decode("utf-8", "surrogatepass").encode(encoding, KEEP_BYTES) == data


@pytest.mark.parametrize("data", [b"a\0\0\xdcb\0", b"a\0b"])
def test_bytes_of_utf_16_that_are_no_text_are_marked(data: bytes) -> None:
    text = Content(io.BytesIO(data), "utf-16-le").as_text().read()
    assert has_lost_bytes(text)
    assert "?" in text.encode("utf-16-le", KEEP_BYTES).decode("utf-16-le")


def test_lone_surrogate_that_stands_for_no_byte_is_not_written() -> None:
    with pytest.raises(UnicodeEncodeError):
        "\ud800".encode("utf-8", KEEP_BYTES)
    with pytest.raises(LookupError):
        check_encoding("base64")


def test_lines_of_another_encoding_become_utf_8() -> None:
    lines = Content(io.BytesIO("é\u2028\nb".encode("utf-16"))).as_lines()
    assert [lines.readline(100), lines.readline(100), lines.readline(100)] == ["é\u2028\n".encode(), b"b", b""]
