"""Import and export: what goes in comes out, twice is once, and a bad line is named."""

import gzip
import io
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from hypothesis import given, settings
from hypothesis import strategies as st

from events.exceptions import InvalidEvent
from events.formats import files
from events.formats.serialization import ADDED, from_json, new_event_fields
from events.models import Event
from events.store import EventStore
from events.types import NewEvent
from events.validation import ValidatedEvent, validate_events
from projections.models import AggregateActivity
from tests import FULL, RECEIPTS
from tests.events.formats.support import COLUMNS, CSV, LINES, run, write
from tests.support import aggregates, new, some, stored

pytestmark = pytest.mark.django_db


def contents() -> list[tuple[Any, ...]]:
    """All fields of an event but those that each store sets itself."""
    fields = ("aggregate_id", "version", "event_id", "type", "data", "metadata", "timestamp")
    return list(Event.objects.order_by("position").values_list(*fields))


@pytest.mark.parametrize("name", ["events.csv", "events.csv.gz"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_csv_becomes_events(tmp_path: Path, store: EventStore, name: str, mark: str) -> None:
    path = write(tmp_path / name, mark + CSV)
    assert run(path, **COLUMNS) == ("4 events stored.", "")
    first, second, third = store.get_events_for_aggregate("c-1")
    assert (first.type, first.data) == ("Opened", {"amount": "5", "note": "two\nlines"})
    assert first.timestamp.isoformat() == "2020-01-01T00:00:00+00:00"
    assert second.data == third.data
    assert second.event_id != third.event_id


@pytest.mark.parametrize("name", ["events.jsonl", "events.ndjson.gz"])
def test_json_lines_become_events(tmp_path: Path, name: str) -> None:
    assert run(write(tmp_path / name, LINES)) == ("3 events stored.", "")
    assert stored() == [("a-1", 1), ("a-1", 2), ("b-1", 1)]


BAD = [
    ("{", "line: is not valid JSON"),
    ("[]", "event: must be a JSON object"),
    ('{"aggregate_id": "x"}', "type: is missing"),
    ('{"aggregate_id": "x", "type": "A", "data": {"n": NaN}}', "line: is not valid JSON: NaN"),
    ('{"aggregate_id": "x", "type": "A", "data": {"a":' + "[" * 980 + "]" * 980 + "}}", "(line|data)"),
    ('{"aggregate_id": "", "type": "A"}', "aggregate_id: is empty"),
    ('{"aggregate_id": "x", "type": "A", "timestamp": "2020-01-01T00:00:00"}', "timestamp: .* has no time zone"),
    ('{"aggregate_id": "x", "type": "A", "data": {"a": "\\u0000"}}', "data.a: contains a NUL"),
    ('{"aggregate_id": "x", "type": "A", "colour": 1}', "colour: is not a field of a new event"),
    ('{"aggregate_id": "\udcff", "type": "A"}', "line: has bytes that are not UTF-8"),
]


@pytest.mark.parametrize(("bad", "message"), BAD)
def test_bad_line_is_named_and_what_came_before_it_is_kept(tmp_path: Path, bad: str, message: str) -> None:
    good = LINES.splitlines(keepends=True)
    path = tmp_path / "events.jsonl"
    path.write_text("".join([*good[:3], bad + "\n", *good[3:]]), encoding="utf-8", errors="surrogateescape")
    with pytest.raises(CommandError, match=rf"^line 4: {message}[\s\S]*2 events stored\. Correct the line"):
        run(path)
    assert aggregates() == {"a-1": 2}
    out, err = run(path, skip_bad=True)
    assert out == "1 event stored, 2 already stored, 1 bad line skipped."
    assert err.startswith("line 4: ")
    assert aggregates() == {"a-1": 2, "b-1": 1}


@pytest.mark.parametrize("form", ['{"aggregate_id": "a", "type": "|"}', '[{"aggregate_id": "a", "type": "|"}]'])
@pytest.mark.parametrize(
    ("encoding", "lost"), [("ascii", "é".encode()), ("windows-1252", b"\x81"), ("utf-16-be", b"\xdc\x80")]
)
def test_json_in_another_encoding_than_the_given_one_is_bad(
    tmp_path: Path, form: str, encoding: str, lost: bytes
) -> None:
    path = tmp_path / "events.json"
    path.write_bytes(lost.join(part.encode(encoding) for part in form.split("|")))
    with pytest.raises(CommandError, match=f"(line|element) 1: line: has bytes that are not {encoding}; .* --encoding"):
        run(path, encoding=encoding)


@pytest.mark.parametrize(
    ("name", "suffix"),
    [("orders.csv.jsonl", ".jsonl"), ("A.CSV.GZ", ".csv"), ("a.csv/b", ""), ("a.csv.gz.gz", ".gz"), ("-", "")],
)
def test_last_suffix_apart_from_gz_says_the_format(name: str, suffix: str) -> None:
    assert files.suffix_of(name) == suffix


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("c-9,Opened,,1,", "line 7: when: '' is not an ISO 8601 date"),
        ("c-9,Opened,2020-01-01,1,", "line 7: when: '2020-01-01' has no time zone"),
        ("c-9,Opened,2020-01-01T00:00:00,1,", "line 7: when: .* has no time zone"),
        (",Opened,2020-01-01T00:00:00Z,1,", "line 7: aggregate_id: is empty"),
        ("c-9,Opened,2020-01-01T00:00:00Z,1", "line 7: line: has 4 fields, but the header has 5; .* pass --ragged"),
        ("c-9,Opened,2020-01-01T00:00:00Z,1,2,3", "line 7: line: has 6 fields, but the header has 5"),
        ('c-9,Opened,2020-01-01T00:00:00Z,1,"a"b', "line 7: line: is not CSV"),
    ],
)
def test_bad_row_is_named(tmp_path: Path, row: str, message: str) -> None:
    path = write(tmp_path / "events.csv", CSV + row + "\nc-3,Opened,2020-01-01T00:00:00Z,1,\n")
    with pytest.raises(CommandError, match=message):
        run(path, **COLUMNS)
    assert run(path, **COLUMNS, skip_bad=True)[0] == "1 event stored, 4 already stored, 1 bad line skipped."


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("size", [22_385, 200_000])
def test_line_longer_than_any_event_is_skipped_and_the_next_one_is_read(
    tmp_path: Path, settings: Any, size: int, ending: str
) -> None:
    settings.EVENTS_MAX_EVENT_BYTES = 1000
    good = LINES.splitlines()
    path = write(tmp_path / "events.jsonl", ending.join([good[0], "x" * size, *good[2:], "y" * size]))
    out, err = run(path, skip_bad=True)
    assert out == "3 events stored, 2 bad lines skipped."
    assert re.findall(r"^line (\d): line: is longer than 22,384 bytes", err, re.MULTILINE) == ["2", "5"]
    with pytest.raises(CommandError, match="line 2"):
        run(path)


ROW = "c-8,Opened,2020-01-01T00:00:00Z,1,"


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (ROW + "x" * 30_000, "a line is longer than 22,384 characters"),
        (ROW + '"' + "x" * 300_000 + '"', "a line is longer than 22,384 characters"),
        (ROW + '"' + "x," * 30_000 + '"', "a line is longer than 22,384 characters"),
        ("\n" + ROW + '"a"b', "',' expected after '\"'"),
    ],
    ids=["long", "long and quoted", "long with commas", "behind an empty line"],
)
def test_row_that_is_not_csv_is_skipped_and_the_next_one_is_read(
    tmp_path: Path, settings: Any, bad: str, message: str
) -> None:
    settings.EVENTS_MAX_EVENT_BYTES = 1000
    path = write(tmp_path / "events.csv", f"{CSV}{bad}\nc-9,Opened,2020-01-01T00:00:00Z,1,\n")
    out, err = run(path, **COLUMNS, skip_bad=True)
    assert out == "5 events stored, 1 bad line skipped."
    assert err == f"line {7 + bad.startswith(chr(10))}: line: is not CSV: {message}"


@pytest.mark.parametrize(
    "bad",
    [
        ROW + '"never closed',
        ROW + '"never closed\n' + "c-7,Opened,2020-01-01T00:00:00Z,1,\n" * 5000,
        ROW + '"never closed' + "x" * 30_000,
        ROW + '"never closed\nc-7,Opened,2020-01-01T00:00:00Z,1,"quoted"',
        ROW + 'a"b,"never closed',
        ROW + '"closed behind another row\nc-7,Opened,2020-01-01T00:00:00Z,1,\n",2',
    ],
    ids=[
        "to the end",
        "longer than a field",
        "longer than a line",
        "up to a quotation",
        "after a quotation mark",
        "over a row",
    ],
)
@pytest.mark.parametrize("skip_bad", [False, True])
def test_quotation_that_never_closes_ends_the_import_with_an_error(
    tmp_path: Path, settings: Any, bad: str, skip_bad: bool
) -> None:
    settings.EVENTS_MAX_EVENT_BYTES = 1000
    path = write(tmp_path / "events.csv", f"{CSV}{bad}\nc-9,Opened,2020-01-01T00:00:00Z,1,\n")
    with pytest.raises(CommandError) as caught:
        run(path, **COLUMNS, skip_bad=skip_bad)
    message = r"(is not CSV: |has 6 fields).* begins in line 7, .* nothing after it can be imported"
    assert re.search(message, str(caught.value))
    assert "4 events stored. Correct the line and run" in str(caught.value)
    assert Event.objects.count() == 4


def test_errors_show_only_the_beginning_of_a_value(tmp_path: Path) -> None:
    long = "x" * 1_000_000
    lines = [
        {"aggregate_id": "a-1", "type": "A", "timestamp": long},
        {"aggregate_id": "a-1", "type": "A", "timestamp": [long]},
        {"aggregate_id": "a-1", "type": "A", "event_id": long},
        {"aggregate_id": "a-1", "type": "A", long: 1},
        {"aggregate_id": long, "type": "A"},
    ]
    _, err = run(write(tmp_path / "a.jsonl", "\n".join(map(json.dumps, lines))), skip_bad=True)
    assert err.count("line ") == 5
    assert len(err) < 2000


def reference(number: int, line: bytes) -> tuple[Any, ...]:
    """What reading and `validate_events` make of a line."""
    try:
        fields = new_event_fields(from_json(line.decode()), ignored=ADDED)
        (row,) = validate_events([NewEvent(**fields)])
    except (InvalidEvent, ValueError):
        return ()
    return comparable(row, fields.get("event_id") is not None)


def comparable(row: ValidatedEvent, has_id: bool) -> tuple[Any, ...]:
    # `repr` tells 1 from 1.0 and True, and -0.0 from 0.0.
    return (repr(row._replace(event_id=None if not has_id else row.event_id)), type(row.data), row.timestamp)


NUMBERS = st.sampled_from(
    [
        "0",
        "-0",
        "1",
        "1.0",
        "1.50",
        "0.1",
        "-0.0",
        "0.0",
        "1e5",
        "1E5",
        "1e23",
        "1e-7",
        "1e400",
        "1e-999",
        "-1e16",
        "0.1234567890123456789",
        "9007199254740993",
        "9223372036854775807",
        "9223372036854775808",
        "18446744073709551615",
        "18446744073709551616",
        "NaN",
        "-Infinity",
        "01",
        "+1",
        "1.",
        ".5",
    ]
)
TEXTS = st.one_of(
    st.sampled_from(["", "a", "a-1", " a ", "a b", "é", "e\u0301", "\u200b", "\u202e", "\x00", "\x7f", "\ud800", "😀"]),
    st.sampled_from(["x" * 255, "x" * 256, "null", "true", "{", '\\"', "1e5", "-0.0", "\u2028", "\ufeff"]),
    st.sampled_from(
        [
            "0192d5a0-1111-7222-8333-444455556666",
            "{0192D5A0-1111-7222-8333-444455556666}",
            "0192d5a0111172228333444455556",
            "2020-01-01T00:00:00Z",
            "2020-01-01T00:00:00z",
            "2020-01-01",
            "2020-01-01T00:00:60Z",
            "2020-01-01T00:00:00",
            "20200101T000000Z",
            "0001-01-01T00:00:00Z",
            "9999-12-31T23:59:59-12:00",
            "2020-01-01T00:00:00.123456789+01:00",
        ]
    ),
    st.text(max_size=5),
)
QUOTED = st.builds(lambda text, escape: json.dumps(text, ensure_ascii=escape), TEXTS, st.booleans())
SPACES = st.sampled_from(["", "", "", " ", "  ", "\t", "\u00a0"])


def objects(names: Any, values: Any, max_size: int = 6) -> Any:
    pair = st.builds("{1}{0}:{1}{2}".format, names, SPACES, values)
    return st.lists(pair, max_size=max_size).map(lambda pairs: "{" + ",".join(pairs) + "}")


VALUES = st.recursive(
    NUMBERS | QUOTED | st.sampled_from(["null", "true", "false", "[" * 260 + "]" * 260, "[" * 253 + "]" * 253]),
    lambda inner: (
        objects(QUOTED | st.just('"a"'), inner) | st.lists(inner, max_size=3).map(lambda some: f"[{','.join(some)}]")
    ),
    max_leaves=8,
)
PLAIN = {
    "aggregate_id": QUOTED,
    "type": QUOTED,
    "data": objects(QUOTED | st.just('"n"'), VALUES),
    "metadata": objects(st.sampled_from(['"correlation_id"', '"cloudevent"', '"m"']), VALUES),
    "timestamp": QUOTED,
    "event_id": QUOTED,
    "position": VALUES,
    "colour": VALUES,
}
FIELDS = st.sampled_from(sorted(PLAIN)).flatmap(lambda name: st.tuples(st.just(f'"{name}"'), PLAIN[name] | VALUES))
HOSTILE = st.builds(
    lambda fields, start, space, end: (
        start + "{" + f",{space}".join(f"{name}:{space}{value}" for name, value in fields) + "}" + end
    ),
    st.lists(FIELDS, max_size=6).map(lambda some: [('"aggregate_id"', '"a-1"'), ('"type"', '"A"'), *some][-7:]),
    SPACES,
    SPACES,
    st.sampled_from(["", "", "\n", "\r\n", " ", "x", "\x00"]),
)


@settings(max_examples=20_000 if FULL else 100)
@given(HOSTILE)
def test_quick_way_accepts_only_what_the_strict_way_accepts_and_returns_the_same(text: str) -> None:
    line = text.encode("utf-8", "surrogatepass")
    quick = files._quickly(1, line, 1024 * 1024)
    if quick is None:
        return
    assert quick.row is not None
    assert comparable(quick.row, quick.has_id) == reference(1, line)


@pytest.mark.parametrize(
    "line",
    [
        '{"aggregate_id":"a-1","type":"A"}',
        '{"aggregate_id": "a-1", "type": "A", "data": {"n": 1, "f": 1.5, "t": "é \\" x", "l": [null, true, {}]}}\n',
        '{"position":1,"aggregate_id":"a-1","version":1,"type":"A","data":{},"metadata":{"user":"u"}}\r\n',
        '{"event_id":"0192d5a0-1111-7222-8333-444455556666","type":"A","aggregate_id":"a","recorded_at":"x"}',
        '{"aggregate_id":"a-1","type":"A","timestamp":"2020-01-01T00:00:00+01:00"}',
        '{"aggregate_id":"a-1","type":"A","timestamp":null,"event_id":null}',
    ],
)
def test_usual_lines_take_the_quick_way(line: str) -> None:
    quick = files._quickly(1, line.encode(), 1024 * 1024)
    assert quick is not None
    assert quick.row is not None
    assert comparable(quick.row, quick.has_id) == reference(1, line.encode())


def test_size_of_an_event_is_checked_in_both_ways(settings: Any) -> None:
    settings.EVENTS_MAX_EVENT_BYTES = 100
    for size, is_valid in ((90, True), (91, False)):
        line = json.dumps({"aggregate_id": "a-1", "type": "A", "data": {"t": "x" * size}}).encode()
        (read,) = files.read_json_lines(io.BytesIO(line))
        assert (read.row is not None) is is_valid
        assert (files._quickly(1, line, 100) is not None) is is_valid


def test_naive_timestamps_can_be_given_a_zone(tmp_path: Path) -> None:
    path = write(tmp_path / "events.csv", "case,what,when\nc-1,A,2020-07-01T12:00:00\n")
    call_command("import_events", path, "--timezone", "Europe/Berlin", stdout=io.StringIO(), **COLUMNS)
    assert Event.objects.get().timestamp.isoformat() == "2020-07-01T10:00:00+00:00"
    for when in ("2020-03-29T02:30", "2020-10-25T02:30"):
        path = write(tmp_path / "events.csv", f"case,what,when\nc-1,A,2020-07-01T12:00:00\nc-1,A,{when}\n")
        with pytest.raises(CommandError, match=r"line 3: when: .* in the time zone Europe/Berlin"):
            call_command("import_events", path, "--timezone", "Europe/Berlin", stdout=io.StringIO(), **COLUMNS)
    with pytest.raises(CommandError, match="is not a time zone"):
        call_command("import_events", str(path), "--timezone", "Atlantis", **COLUMNS)


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("none.csv", {}, "There is no file"),
        ("events.csv", {}, "--aggregate-id and --type"),
        ("events.csv", {"aggregate_id": "case", "type": "x"}, "'x' is not in the header, which has: case, what, when"),
        ("events.csv", {**COLUMNS, "batch_size": 0}, "--batch-size: give 1 or more"),
        ("broken.csv", {"aggregate_id": "case", "type": "what"}, "header: is not CSV"),
        ("twice.csv", {"aggregate_id": "case", "type": "what"}, "column: 'note' is in the header twice"),
    ],
)
def test_wrong_call_is_explained(tmp_path: Path, name: str, options: dict[str, Any], message: str) -> None:
    write(tmp_path / "events.csv", CSV)
    write(tmp_path / "broken.csv", '"a"b,c\n')
    write(tmp_path / "twice.csv", "case,what,note,note\na,b,c,d\n")
    with pytest.raises(CommandError, match=message):
        run(tmp_path / name, **options)


@pytest.mark.parametrize(
    ("content", "message"),
    [(gzip.compress(b"x" * 5000)[:-20], "events.jsonl.gz: "), (b"\x1f\x8bplain", "events.jsonl.gz: ")],
    ids=["truncated", "not gzip"],
)
def test_damaged_file_is_reported(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "events.jsonl.gz"
    path.write_bytes(content)
    with pytest.raises(CommandError, match=message):
        run(path, skip_bad=True)


def test_export_that_cannot_be_written_is_reported(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="cannot be written: No such file"):
        call_command("export_events", tmp_path / "none" / "events.jsonl")
    with pytest.raises(CommandError, match="after: is -1"):
        call_command("export_events", after=-1)
    for command in ("import_events", "export_events"):
        with pytest.raises(CommandError, match="there is no 'nope' in DATABASES"):
            call_command(command, write(tmp_path / "a.jsonl", LINES), database="nope")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("name", ["out.jsonl", "out.jsonl.gz"])
def test_export_and_import_into_an_empty_store_give_the_same_events(
    tmp_path: Path, store: EventStore, name: str
) -> None:
    run(write(tmp_path / "events.csv", CSV), **COLUMNS)
    store.dispatch(
        new("x/é-1", data={"big": 2**70, "float": 1e23, "text": "😀\u2028\n"}, metadata={"correlation_id": "x"}),
        *some(5, "c-1"),
    )
    before = contents()
    call_command("export_events", tmp_path / name)
    call_command("flush", interactive=False, verbosity=0)
    assert contents() == []
    assert run(tmp_path / name)[0] == "10 events stored."
    assert contents() == before
    assert run(tmp_path / name)[0] == "0 events stored, 10 already stored."


def test_export_can_be_narrowed_and_goes_to_standard_output(store: EventStore) -> None:
    events = store.dispatch(new("a-1", "A"), new("b-1", "B"), new("a-2", "B"))

    def exported(**options: Any) -> list[int]:
        out = io.StringIO()
        call_command("export_events", stdout=out, **options)
        return [json.loads(line)["position"] - events[0].position for line in out.getvalue().splitlines()]

    assert exported() == [0, 1, 2]
    assert exported(types=["B"], categories=["a"]) == [2]
    assert exported(after=events[0].position) == [1, 2]


@pytest.mark.skipif(not RECEIPTS.exists(), reason=f"the real event log is not here: {RECEIPTS.name}")
def test_real_event_log_reads_the_same_everywhere(api: Any, client: Any, admin_user: Any, store: EventStore) -> None:
    options = {"aggregate_id": "case:concept:name", "type": "concept:name", "timestamp": "time:timestamp"}
    assert run(RECEIPTS, **options)[0] == "8,577 events stored."
    assert run(RECEIPTS, **options)[0] == "0 events stored, 8,577 already stored."

    with gzip.open(RECEIPTS, "rt", encoding="utf-8") as file:
        header, *rows = (line.rstrip("\n").split(",") for line in file)
    case, activity = header.index("case:concept:name"), header.index("concept:name")
    counts = Counter(row[case] for row in rows)
    assert len(counts) == 1434
    assert aggregates() == counts
    assert dict(AggregateActivity.objects.values_list("aggregate_id", "event_count")) == counts

    wanted = [row[activity] for row in rows if row[case] == "case-10011"]
    over_http = api.get("/api/aggregates/case-10011/events/").json()["events"]
    client.force_login(admin_user)
    html = client.get("/admin/events/aggregate/case-10011/change/", follow=True).content.decode()
    in_admin = [part.partition("</a>")[0].rpartition(">")[2] for part in html.split("<h3 ")[1:]]
    assert [event.type for event in store.get_events_for_aggregate("case-10011")] == wanted
    assert [event["type"] for event in over_http] == wanted
    assert in_admin == wanted[::-1]
