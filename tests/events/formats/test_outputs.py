"""Plain files are written at once or not at all; pipes, devices and standard output as they are."""

import io
import os
import sys
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from events.formats.outputs import Unwritable, standard_output, written
from events.store import EventStore
from tests.events.formats.support import COLUMNS, CSV, LINES, run, write
from tests.support import new, stored

TEXT = b"\xc3\xa9\n"


def content_of(path: Path) -> bytes:
    with written(path) as file:
        file.write(TEXT)
    return path.read_bytes()


def test_plain_file_keeps_its_mode_and_a_link_stays(tmp_path: Path) -> None:
    assert content_of(tmp_path / "new") == TEXT
    old, link, broken = tmp_path / "old", tmp_path / "link", tmp_path / "broken"
    old.write_text("old")
    old.chmod(0o600)
    link.symlink_to("old")
    broken.symlink_to("target")
    for path in (old, link, broken, tmp_path / ("é" * 120)):
        assert content_of(path) == TEXT
    assert link.is_symlink()
    assert broken.is_symlink()
    assert old.stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.part"))


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt(), SystemExit(143)])
def test_nothing_is_left_behind_by_what_ends_it(error: BaseException) -> None:
    for place in {tempfile.gettempdir(), "/dev/shm"}:  # noqa: S108
        with tempfile.TemporaryDirectory(dir=place if Path(place).is_dir() else None) as name:
            path = Path(name, "old")
            path.write_text("old")
            with pytest.raises((type(error), Unwritable)), written(path) as file:
                file.write(TEXT)
                assert len(list(path.parent.iterdir())) == 2
                raise error
            assert [each.read_text() for each in path.parent.iterdir()] == ["old"]


@pytest.mark.parametrize("name", ["fifo", "link", "fifo.gz"])
def test_fifo_is_written_and_stays(tmp_path: Path, name: str) -> None:
    os.mkfifo(tmp_path / ("fifo.gz" if name == "fifo.gz" else "fifo"))
    (tmp_path / "link").symlink_to("fifo")
    read: list[bytes] = []
    reader = threading.Thread(target=lambda: read.append((tmp_path / name).read_bytes()))
    reader.start()
    with written(tmp_path / name) as file:
        file.write(TEXT)
    reader.join(10)
    assert read[0].startswith(b"\x1f\x8b") if name == "fifo.gz" else read == [TEXT]
    assert (tmp_path / name).is_fifo()


def test_device_and_standard_output_are_written(tmp_path: Path, capfd: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "null").symlink_to("/dev/null")
    with written(tmp_path / "null") as file:
        file.write(TEXT)
    with (
        pytest.raises(Unwritable, match="/dev/full cannot be written: No space left"),
        written(Path("/dev/full")) as file,
    ):
        file.write(TEXT)
    # As a shell opens it for `>>`: a new file in its place, or a shorter one, would lose the first line.
    log = tmp_path / "log"
    log.write_bytes(b"first\n")
    with log.open("ab") as stream:
        monkeypatch.setattr(sys, "__stdout__", stream)
        for path in (log, Path(f"/dev/fd/{stream.fileno()}")):
            with written(path) as file:
                file.write(TEXT)
    assert log.read_bytes() == b"first\n" + 2 * TEXT


def test_standard_output_takes_bytes_whatever_its_encoding(tmp_path: Path) -> None:
    with (tmp_path / "out").open("w", encoding="ascii") as stream:
        stream.write("a\n")
        with standard_output(stream) as file:
            file.write(TEXT)
    assert (tmp_path / "out").read_bytes() == b"a\n" + TEXT
    with standard_output(memory := io.StringIO()) as file:
        file.write(TEXT)
    assert memory.getvalue() == "é\n"
    with Path("/dev/null").open() as stream, pytest.raises(io.UnsupportedOperation, match="not open for writing"):
        standard_output(stream)


@pytest.mark.django_db
def test_export_goes_where_it_is_told(tmp_path: Path, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    store.dispatch(new("é-1"))
    monkeypatch.chdir(tmp_path)
    texts = []
    for arguments in ([], ["-"], ["-", "--format", "csv"]):
        call_command("export_events", *arguments, stdout=(out := io.StringIO()))
        texts.append(out.getvalue())
    assert texts[0] == texts[1]
    assert texts[2].startswith("position,")
    assert list(tmp_path.iterdir()) == []
    call_command("export_events", "X.CSV")
    assert (tmp_path / "X.CSV").read_bytes() == texts[2].encode()
    with pytest.raises(CommandError, match="/dev/full cannot be written: No space left"):
        call_command("export_events", "/dev/full")
    with pytest.raises(CommandError, match="Is a directory"):
        call_command("export_events", str(tmp_path))


@pytest.mark.django_db
def test_import_reads_standard_input_and_pipes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def piped(data: bytes, call: Callable[[Path], Any]) -> Any:
        end, start = os.pipe()
        os.write(start, data)
        os.close(start)
        try:
            return call(Path(f"/dev/fd/{end}"))
        finally:
            os.close(end)

    assert piped(LINES.encode(), run)[0] == "3 events stored."
    assert piped(CSV.encode("utf-16"), lambda path: run(path, **COLUMNS))[0] == "4 events stored."
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(CSV.encode())))
    assert run(Path("-"), **COLUMNS)[0] == "0 events stored, 4 already stored."
    monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BytesIO(LINES.encode())))
    assert run(Path("-"))[0] == "0 events stored, 3 already stored."
    assert len(stored()) == 7


@pytest.mark.django_db
def test_options_of_the_wrong_format_are_rejected(tmp_path: Path) -> None:
    path = write(tmp_path / "events.JSONL", LINES)
    with pytest.raises(CommandError, match="--aggregate-id is for CSV, but this is JSON"):
        run(path, **COLUMNS)
    with pytest.raises(CommandError, match="is not in the header"):
        run(path, **COLUMNS, format="csv")
    assert run(path)[0] == "3 events stored."
