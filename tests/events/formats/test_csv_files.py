"""CSV as it is found in practice: each shape is imported with one command, and nothing is lost or guessed."""

import csv
import gzip
import io
import random
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction

from events.formats.csv_files import CsvFile, CsvFormat
from events.formats.csv_times import timestamp_reader
from events.formats.text import Content
from events.models import Event
from events.store import EventStore
from projections.models import AggregateActivity
from tests import FULL
from tests.events.formats.support import COLUMNS, run
from tests.support import UNREADABLE, new, store_unchecked, stored

pytestmark = pytest.mark.django_db

TABLE = [
    ["case", "what", "when", "note"],
    ["1", "Opened", "2020-12-31T14:05:00Z", "é"],
    ["2", "Closed", "2020-12-31T14:05:00Z", ""],
]
MOMENT = datetime(2020, 12, 31, 14, 5, tzinfo=UTC)


def table(separator: str, quote: str = "", end: str = "\n", when: str | None = None) -> str:
    rows = [[when if when and cell.startswith("2020") else cell for cell in row] for row in TABLE]
    return "".join(separator.join(quote + cell + quote for cell in row) + end for row in rows)


COMMAS = table(",")
DAY_FIRST = {"timestamp_format": "%d/%m/%Y %H:%M", "timezone": "UTC"}
SHAPES: dict[str, tuple[bytes, dict[str, Any]]] = {
    "comma": (COMMAS.encode(), {}),
    "byte-order mark": (COMMAS.encode("utf-8-sig"), {}),
    "semicolon": (table(";").encode(), {}),
    "tab": (table("\t").encode(), {}),
    "bar": (table("|").encode(), {}),
    "another character": (table("#").encode(), {"delimiter": "#"}),
    "declared": (b"sep=;\r\n" + table(";", end="\r\n").encode(), {}),
    "declared, another character": (b'"sep=#"\n' + table("#").encode(), {}),
    "declared, as spreadsheets save it again": (b"\n\r\nSEP=;;;\n \n" + table(";").encode(), {}),
    "UTF-16": (table("\t").encode("utf-16"), {}),
    "UTF-16, big-endian": (b"\xfe\xff" + table(",").encode("utf-16-be"), {}),
    "UTF-16 without a mark": (COMMAS.encode("utf-16-le"), {}),
    "UTF-16, big-endian, without a mark": (COMMAS.encode("utf-16-be"), {}),
    "UTF-32": (COMMAS.encode("utf-32"), {}),
    "Windows-1252": (COMMAS.encode("windows-1252"), {"encoding": "windows-1252"}),
    "quoted header": (table(",", '"').encode(), {}),
    "quoted header behind a mark": (table(";", '"').encode("utf-8-sig"), {}),
    "spaces after commas": (table(", ").encode(), {}),
    "spaces after commas, quoted": (table(", ", '"').encode(), {}),
    "spaces after commas, not in the header": (table(", ").replace(", ", ",", 3).encode(), {}),
    "carriage returns": (table(",", end="\r").encode(), {}),
    "carriage returns and line feeds": (table(",", '"', "\r\n").encode(), {}),
    "ragged": (COMMAS.replace("00Z,\n", "00Z\n").encode(), {"ragged": True}),
    "ragged, with further cells": (COMMAS.replace("\n", ",,,\n").encode(), {"ragged": True}),
    "empty rows below": (COMMAS.encode() + b"\n,,,\n\n", {}),
    "packed": (gzip.compress(COMMAS.encode()), {}),
    "day first": (table(",", when="31/12/2020 14:05").encode(), DAY_FIRST),
    "a local time": (table(",", when="2020-12-31 15:05").encode(), {"timezone": "Europe/Berlin"}),
    "seconds": (table(",", when="1609423500").encode(), {"timestamp_format": "seconds"}),
    "milliseconds": (table(",", when="1609423500000").encode(), {"timestamp_format": "milliseconds"}),
    "slashes": (table(",", when="2020/12/31 14:05:00.000").encode(), {"timezone": "UTC"}),
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_each_shape_is_imported_with_one_command(tmp_path: Path, shape: str) -> None:
    content, options = SHAPES[shape]
    (tmp_path / "LOG.CSV").write_bytes(content)
    out = io.StringIO()
    arguments = [f"--{name.replace('_', '-')}={value}" for name, value in options.items() if value is not True]
    flags = [f"--{name}" for name, value in options.items() if value is True]
    call_command("import_events", tmp_path / "LOG.CSV", *arguments, *flags, stdout=out, stderr=io.StringIO(), **COLUMNS)
    assert out.getvalue() == "2 events stored.\n"
    found = Event.objects.order_by("position").values_list("aggregate_id", "type", "timestamp", "data")
    assert list(found) == [("1", "Opened", MOMENT, {"note": "é"}), ("2", "Closed", MOMENT, {"note": ""})]


def imported(folder: Path, content: str | bytes, name: str = "log.csv", **options: Any) -> tuple[str, str]:
    path = folder / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return run(path, **(COLUMNS | options))


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        (COMMAS.encode("windows-1252"), {}, "line 2: line: has bytes that are not UTF-8; .* --encoding windows-1252"),
        (COMMAS.replace("note", "é").encode("windows-1252"), {}, "header: has bytes that are not UTF-8; .*--enc"),
        (COMMAS.replace("case", "é").encode("windows-1252"), {"aggregate_id": "é"}, "header: has bytes that are not"),
        (COMMAS.encode("utf-16")[:-1], {}, "line 3: line: has bytes that are not utf-16"),
        (COMMAS, {"encoding": "utf-16"}, "(?i)stream does not start with BOM"),
        (COMMAS.replace("00Z,\n", "00Z\n"), {}, "line 3: line: has 3 fields, but the header has 4; .* --ragged"),
        (COMMAS.replace("é", "é,x"), {"ragged": True}, "line 2: line: has 5 fields, but the header has 4"),
        (table("#"), {}, "'case' is not in the header, .* pass --delimiter"),
        ("x\nOpened\n", {"aggregate_id": "x", "type": "x", "timestamp": None}, "not certain, .* pass --delimiter"),
        (table(",", when="31/12/2020 14:05"), {}, "is not an ISO 8601 .*, pass --timestamp-format\\n"),
        (table(",", when="2020-12-31T14:05"), {}, "has no time zone; add one, .*, or pass --timezone\\n"),
        (table(",", when="12/31/2020"), {"timestamp_format": "%d/%m/%Y"}, "line 2: when: '12/31/2020' does not match"),
        (COMMAS, {"timestamp_format": "%d/%m"}, "--timestamp-format: '%d/%m' does not give year"),
        (table(",", when="1e9"), {"timestamp_format": "seconds"}, "line 2: when: '1e9' is not a number of seconds"),
        (COMMAS, {"event_id": "case"}, "line 2: case: '1' is not a UUID. .* --source"),
        (COMMAS, {"event_id": "note", "source": "x"}, "line 3: note: '' is not an event id"),
        (COMMAS.replace("\n1", "\n"), {"category": "order"}, "line 2: aggregate_id: is empty"),
        (COMMAS, {"category": "my-order"}, "--category: give a name without a dash"),
        (COMMAS, {"category": "shop", "aggregate_id": None}, "--category: pass --aggregate-id too"),
        (COMMAS, {"timestamp": None, "timestamp_format": "seconds"}, "--timestamp-format: pass --timestamp too"),
        (COMMAS, {"timestamp": None, "timezone": "UTC"}, "--timezone: pass --timestamp too"),
        (COMMAS, {"aggregate_id": None}, "needs --aggregate-id and --type"),
        (COMMAS, {"encoding": "utf-8", "metadata": ["x"]}, "'x' is not in the header"),
    ],
)  # fmt: skip
def test_what_is_not_certain_is_an_error_with_the_option_to_give(
    tmp_path: Path, content: Any, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(CommandError, match=message):
        imported(tmp_path, content, **options)


def test_found_values_are_reported_and_given_ones_are_not(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_bytes(table(";").encode("utf-16"))
    found = "encoding utf-16, delimiter semicolon. If this is wrong, pass --encoding or --delimiter."
    for options, reported in [
        ({}, found),
        ({"encoding": "utf-16"}, "delimiter semicolon. If this is wrong, pass --delimiter."),
        ({"encoding": "utf-16", "delimiter": ";"}, None),
        ({"verbosity": 0}, None),
    ]:
        err = io.StringIO()
        call_command("import_events", tmp_path / "log.csv", stdout=io.StringIO(), stderr=err, **COLUMNS, **options)
        assert err.getvalue() == (f"{tmp_path / 'log.csv'} is read with {reported}\n" if reported else "")


def test_columns_can_be_ids_and_metadata_and_ids_a_category(tmp_path: Path, store: EventStore) -> None:
    ids = [str(new().event_id) for _ in "ab"]
    content = f"case,what,id,by,note\n1,A,{ids[0]},ann,x\n1,B,{ids[1].upper()},bob,y\n"
    options = {"timestamp": None, "event_id": "id", "metadata": ["by"], "category": "order"}
    assert imported(tmp_path, content, **options)[0] == "2 events stored."
    first, second = store.get_events_for_aggregate("order-1")
    assert [str(first.event_id), str(second.event_id)] == ids
    assert (first.data, first.metadata) == ({"note": "x"}, {"by": "ann"})
    assert imported(tmp_path, content, **options)[0] == "0 events stored, 2 already stored."
    with pytest.raises(
        CommandError, match=f"line 2: event_id: {ids[0]} is already in use, by an event with other data"
    ):
        imported(tmp_path, content.replace(",x", ",z"), **options)


def test_ids_that_are_no_uuids_count_within_their_source(tmp_path: Path) -> None:
    content = "case,what,id\n1,A,17\n2,A,18\n"
    options = {"timestamp": None, "event_id": "id"}
    assert imported(tmp_path, content, **options, source="shop")[0] == "2 events stored."
    assert imported(tmp_path, content, **options, source="shop")[0] == "0 events stored, 2 already stored."
    assert imported(tmp_path, content, **options, source="branch")[0] == "2 events stored."


def test_equal_lines_of_two_sources_are_different_events(tmp_path: Path) -> None:
    assert imported(tmp_path, COMMAS, source="monday")[0] == "2 events stored."
    assert imported(tmp_path, COMMAS, source="tuesday")[0] == "2 events stored."
    assert imported(tmp_path, COMMAS, source="monday")[0] == "0 events stored, 2 already stored."


PIECES = [",", ";", "\t", "|", '"', "\n", "\r\n", "a", "b c", " ", "é", "1,5", "'", "sep=;", "=x", "\\", ""]


@pytest.mark.parametrize("seed", range(2000 if FULL else 50))
def test_found_dialect_and_encoding_lose_nothing(seed: int) -> None:
    """Any table that a CSV writer has written is read as it was, and its lines are kept as they are."""
    choose = random.Random(seed)
    texts = [f"c{n}" + choose.choice(["", ",", "; x", " y"]) for n in range(choose.randrange(1, 5))]
    columns = choose.sample(["case", "what", *texts], len(texts) + 2)
    rows = [
        {"case": "1", "what": "A"} | {name: "".join(choose.choices(PIECES, k=choose.randrange(4))) for name in texts}
        for _ in range(choose.randrange(1, 40))
    ]
    delimiter, end = choose.choice(",;\t|"), choose.choice(["\n", "\r\n"])
    quoting = choose.choice([csv.QUOTE_ALL, csv.QUOTE_MINIMAL])
    written = io.StringIO(newline="")
    writer = csv.DictWriter(written, columns, delimiter=delimiter, quoting=quoting, lineterminator=end)
    writer.writeheader()
    writer.writerows(rows)
    content = Content(io.BytesIO(written.getvalue().encode(choose.choice(["utf-8", "utf-8-sig", "utf-16"]))))
    form = CsvFormat(aggregate_id="case", type="what", read_timestamp=timestamp_reader(None, None))
    file = CsvFile(content.as_text(), form, keep=True)
    lines = list(file)
    assert [line.row and line.row.data for line in lines] == [{name: row[name] for name in texts} for row in rows]
    kept = [file.preamble, *[line.raw for line in lines]]
    assert b"".join(kept).decode() == written.getvalue()  # type: ignore[arg-type]


def test_guess_strips_no_space_that_may_be_content(tmp_path: Path) -> None:
    imported(tmp_path, "case,what,a,b\n1,A, x,y\n1,A, z, z\n", timestamp=None)
    assert Event.objects.order_by("position")[0].data == {"a": " x", "b": "y"}


def test_cell_may_be_as_long_as_an_event(tmp_path: Path) -> None:
    long = "x" * 500_000
    assert (
        imported(tmp_path, f'case,what,note\n1,A,{long}\n1,A,"{long}\n{long}"\n', timestamp=None)[0]
        == "2 events stored."
    )


def test_exported_csv_is_imported_without_options(tmp_path: Path, store: EventStore) -> None:
    data = {"big": 2**70, "text": '"é";\n,', "long": "x" * 200_000}
    fields = ("aggregate_id", "version", "event_id", "type", "data", "metadata", "timestamp")
    with transaction.atomic():
        store.dispatch(new("order-1", "=A", data=data, metadata={"by": "ann"}), new("'order-2", "B"))
        before = list(Event.objects.order_by("position").values_list(*fields))
        call_command("export_events", tmp_path / "x.csv")
        assert run(tmp_path / "x.csv")[0] == "0 events stored, 2 already stored."
        transaction.set_rollback(True)
    assert run(tmp_path / "x.csv")[0] == "2 events stored."
    assert list(Event.objects.order_by("position").values_list(*fields)) == before
    text = (tmp_path / "x.csv").read_text().replace('""big"":', '""big""')
    with pytest.raises(CommandError, match="line 2: data: is not valid JSON"):
        imported(tmp_path, text, aggregate_id=None, type=None, timestamp=None)
    text = (tmp_path / "x.csv").read_text().replace("\n", ",kept\n").replace("kept", "note", 1)
    with pytest.raises(CommandError, match="export_events writes no column 'note': remove it, or name the columns"):
        imported(tmp_path, text, aggregate_id=None, type=None, timestamp=None)
    text = (tmp_path / "x.csv").read_text().rstrip("\n") + "out of range\n"
    with pytest.raises(CommandError, match="line 3: unreadable: the store could not read this event"):
        imported(tmp_path, text, aggregate_id=None, type=None, timestamp=None)


def test_event_that_cannot_be_read_ends_an_export_as_csv_only(tmp_path: Path) -> None:
    field, text = UNREADABLE["digits"]
    store_unchecked(**{field: text})
    for name in ("x.csv", "x.csv.gz"):
        with pytest.raises(CommandError, match=r"JSON Lines can hold the event: pass --format json"):
            call_command("export_events", tmp_path / name)
    assert list(tmp_path.iterdir()) == []
    call_command("export_events", tmp_path / "x.jsonl")
    assert text in (tmp_path / "x.jsonl").read_text()


def test_each_case_of_a_log_is_an_aggregate_with_its_category(tmp_path: Path) -> None:
    imported(tmp_path, COMMAS, category="loan")
    imported(tmp_path, COMMAS, category="permit")
    assert stored() == [("loan-1", 1), ("loan-2", 1), ("permit-1", 1), ("permit-2", 1)]
    assert AggregateActivity.objects.count() == 4
