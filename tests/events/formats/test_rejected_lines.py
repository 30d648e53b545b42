"""`--rejected` keeps the bad lines as they were: repaired, they are imported with the same options."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from tests.events.formats.support import COLUMNS, CSV, LINES, run, write
from tests.support import stored

pytestmark = pytest.mark.django_db

BAD_CSV = 'c-9,,2020-01-01T00:00:00Z,"a\nb",é\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "windows-1252"])
@pytest.mark.parametrize("declaration", ["", "sep=,\n"])
def test_rejected_rows_are_a_file_with_the_header(tmp_path: Path, encoding: str, declaration: str) -> None:
    head, rows = CSV.split("\n", 1)
    text = f"{declaration}{head}\n{BAD_CSV}{rows}{BAD_CSV.rstrip()}"
    (tmp_path / "log.csv").write_bytes(text.encode(encoding))
    path = tmp_path / "rejected.csv"
    options: dict[str, Any] = {**COLUMNS, "encoding": encoding if encoding == "windows-1252" else None}
    out, err = run(tmp_path / "log.csv", rejected=path, **options)
    assert out == f"4 events stored, 2 bad lines written to {path}."
    assert err.count("type: is empty") == 2
    assert path.read_bytes() == f"{declaration}{head}\n{BAD_CSV}{BAD_CSV.rstrip()}".encode(encoding)
    path.write_bytes(path.read_bytes().decode(encoding).replace("c-9,,", "c-9,Opened,").encode(encoding))
    assert run(path, rejected=tmp_path / "again.csv", **options)[0] == "2 events stored."
    assert (tmp_path / "again.csv").read_bytes() == f"{declaration}{head}\n".encode(encoding)


def test_bytes_that_are_no_text_are_kept(tmp_path: Path) -> None:
    lines = [b'{"aggregate_id": "\xff", "type": "A"}\r\n', b"{\n"]
    (tmp_path / "a.jsonl").write_bytes(lines[0] + LINES.encode() + lines[1])
    assert run(tmp_path / "a.jsonl", rejected=tmp_path / "b.jsonl")[0].startswith("3 events stored, 2 bad")
    assert (tmp_path / "b.jsonl").read_bytes() == b"".join(lines)
    for encoding, cell in ((None, b"\xff"), ("ascii", "é".encode())):
        (tmp_path / "a.csv").write_bytes(b"case,what,when\n%b,A,2020-01-01T00:00:00Z\n" % cell)
        run(tmp_path / "a.csv", rejected=tmp_path / "b.csv", encoding=encoding, **COLUMNS)
        assert (tmp_path / "b.csv").read_bytes() == (tmp_path / "a.csv").read_bytes()


@pytest.mark.parametrize("is_csv", [False, True])
def test_line_that_is_longer_than_any_event_is_kept(tmp_path: Path, settings: Any, is_csv: bool) -> None:
    settings.EVENTS_MAX_EVENT_BYTES = 1000
    head, good = (
        ("case,what,when\n", "c,A,2020-01-01T00:00:00Z\n") if is_csv else ("", '{"aggregate_id":"a","type":"A"}\n')
    )
    path = write(tmp_path / ("a.csv" if is_csv else "a.jsonl"), head + good + "é" * 200_000 + "\n" + good)
    assert run(path, rejected=tmp_path / "b", **(COLUMNS if is_csv else {}))[0].startswith("2 events stored, 1 bad")
    assert (tmp_path / "b").read_text() == head + "é" * 200_000 + "\n"


def test_rejected_elements_of_an_array_are_json_lines(tmp_path: Path) -> None:
    bad = {"aggregate_id": "a-1", "data": {"text": "é"}}
    path = write(tmp_path / "a.json", json.dumps([bad, {"aggregate_id": "a-1", "type": "A"}, bad], indent=1))
    run(path, rejected=tmp_path / "b.json")
    lines = (tmp_path / "b.json").read_text().splitlines()
    assert list(map(json.loads, lines)) == [bad, bad]
    write(tmp_path / "b.json", "\n".join(line[:-1] + ', "type": "B"}' for line in lines))
    assert run(tmp_path / "b.json")[0] == "2 events stored."


def test_line_that_is_rejected_for_its_id_is_kept(tmp_path: Path) -> None:
    line = '{"aggregate_id": "a-1", "type": "A", "event_id": "0192d5a0-1111-7222-8333-444455556666"}\n'
    path = write(tmp_path / "a.jsonl", line + line.replace("a-1", "b-1"))
    run(path, rejected=tmp_path / "b.jsonl")
    assert (tmp_path / "b.jsonl").read_text() == line.replace("a-1", "b-1")
    assert stored() == [("a-1", 1)]


def test_file_to_import_is_not_overwritten(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", LINES)
    (tmp_path / "link").symlink_to(path)
    for rejected in (path, tmp_path / "link"):
        with pytest.raises(CommandError, match="--rejected: give a file other than"):
            run(path, rejected=rejected)
    with pytest.raises(CommandError, match="--rejected: give the name of a file"):
        run(path, rejected=Path("-"))
    with pytest.raises(CommandError, match="No such file"):
        run(path, rejected=tmp_path / "none" / "b.jsonl")
    assert path.read_text() == LINES


def test_file_is_left_alone_by_an_import_that_fails(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", CSV + 'c-1,A,2020-01-01T00:00:00Z,1,"never closed')
    rejected = write(tmp_path / "b.csv", "as it was")
    with pytest.raises(CommandError, match="nothing after it can be imported"):
        call_command("import_events", path, rejected=rejected, stdout=io.StringIO(), stderr=io.StringIO(), **COLUMNS)
    assert sorted(each.name for each in tmp_path.iterdir()) == ["a.csv", "b.csv"]
    assert rejected.read_text() == "as it was"
