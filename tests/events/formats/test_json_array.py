"""A JSON array is read element by element, in memory for one of them."""

import io
import json
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError

from events.formats import json_array
from events.formats.files import LostLine
from events.formats.json_array import read_json_array
from events.models import Event
from tests.events.formats.support import run
from tests.support import stored

EVENTS: list[dict[str, Any]] = [
    {"aggregate_id": "a-1", "type": "A", "data": {"text": 'é"[{,}]\\', "big": 2**70, "float": 1e23, "deep": [[{}]]}},
    {"aggregate_id": "b-1", "type": "B", "data": {"long": "x" * 3000}},
    {"aggregate_id": "a-1", "type": "C", "data": {}},
]


@pytest.mark.django_db
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
@pytest.mark.parametrize("indent", [None, 2])
def test_array_is_imported_with_one_command(tmp_path: Path, encoding: str, indent: int | None) -> None:
    path = tmp_path / "events.json"
    path.write_bytes((" \n" + json.dumps(EVENTS, indent=indent, ensure_ascii=False) + "\n").encode(encoding))
    assert run(path)[0] == "3 events stored."
    assert stored() == [("a-1", 1), ("b-1", 1), ("a-1", 2)]
    assert list(Event.objects.order_by("position").values_list("data", flat=True)) == [each["data"] for each in EVENTS]
    assert run(path)[0] == "0 events stored, 3 already stored."


@pytest.mark.parametrize("size", [1, 2, 7, 4096])
def test_elements_do_not_depend_on_how_the_file_is_read(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setattr(json_array, "_CHUNK", size)
    lines = list(read_json_array(io.StringIO(json.dumps(EVENTS, indent=1))))
    assert [line.row and line.row.data for line in lines] == [each["data"] for each in EVENTS]
    assert [line.number for line in lines] == [1, 2, 3]
    assert all(isinstance(line.raw, bytes) and line.raw.count(b"\n") == 1 for line in lines)


GOOD = '{"aggregate_id": "a-1", "type": "A"}'


@pytest.mark.parametrize(
    ("text", "count", "message"),
    [
        ("[]", 0, None),
        (f"[{GOOD}, {GOOD}]", 2, None),
        (f"[{GOOD}, 1, {GOOD}]", 3, "event: must be a JSON object"),
        (f"[{GOOD}, {GOOD[:-1]}, \"n\": 1}}, {GOOD}]", 3, "n: is not a field of a new event"),
        (f"[{GOOD}, {{\"a\": NaN}}, {GOOD}]", 3, "NaN is not a JSON number"),
        (f"[{GOOD}", 2, "has the end of the file where , or ] must be"),
        (f"[{GOOD}{GOOD}]", 2, "has '{' where , or ] must be"),
        (f"[{GOOD},]", 2, "is not valid JSON"),
        (f"[{GOOD},", 2, "is not valid JSON"),
        (f"[{GOOD}, {{]", 2, "is not valid JSON"),
        (f"[{GOOD}] {GOOD}", 2, "has ended, but text follows"),
        (f"[{GOOD}, {'[' * 11_000 + ']' * 11_000}, {GOOD}]", 2, "is nested too deep; nothing after it"),
        (f"[{GOOD}, \"{'x' * 30_000}\", {GOOD}]", 2, "is longer than 22,384 characters"),
    ],
)  # fmt: skip
def test_bad_element_is_named_and_what_is_no_json_ends_the_import(
    settings: Any, monkeypatch: pytest.MonkeyPatch, text: str, count: int, message: str | None
) -> None:
    settings.EVENTS_MAX_EVENT_BYTES = 1000
    monkeypatch.setattr(json_array, "_CHUNK", 16)
    lines = list(read_json_array(io.StringIO(text)))
    assert len(lines) == count
    bad = [line for line in lines if line.error]
    assert len(bad) == bool(message)
    if message:
        with pytest.raises(type(bad[0].error), match=message):
            raise bad[0].error  # type: ignore[misc]
        assert isinstance(bad[0].error, LostLine) is (count == 2)


@pytest.mark.django_db
def test_bad_element_has_its_number_in_the_message(tmp_path: Path) -> None:
    path = tmp_path / "events.json"
    path.write_text(f'[{GOOD}, {{"aggregate_id": "x"}}]')
    with pytest.raises(CommandError, match=r"^element 2: type: is missing\n1 event stored"):
        run(path)
