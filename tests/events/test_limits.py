"""Limits: each row of docs/limits.md, taken at the limit and rejected one beyond it."""

import io
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as django_settings
from django.contrib.messages import get_messages
from django.test import Client
from rest_framework.test import APIClient

from events import checks
from events.conf import conf
from events.exceptions import DispatchTooDeep, InvalidEvent
from events.formats.csv_files import CsvFile, CsvFormat
from events.formats.csv_times import timestamp_reader
from events.models import Event
from events.store import EventStore
from events.types import ANY, EARLIEST, LATEST
from events.validation import validate_events
from tests import ROOT
from tests.events.support import EVENTS
from tests.support import new, some

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("no_subscribers")]

TABLE = ROOT / "docs/limits.md"


class System:
    """What can be asked. Clients are made when they are: a password takes a while."""

    def __init__(self, request: pytest.FixtureRequest) -> None:
        self._request = request
        self.store = EventStore()

    @property
    def api(self) -> APIClient:
        return self._request.getfixturevalue("api")

    @property
    def admin(self) -> Client:
        return self._request.getfixturevalue("admin_client")

    @property
    def settings(self) -> Any:
        return self._request.getfixturevalue("settings")


@dataclass(frozen=True)
class Limit:
    """A row of the table.

    Attributes:
        what: its first cell.
        most: the limit, as it is where nobody has set another.
        ask: asks for something of a size; returns the error, or nothing when it was taken.
        says: what the error must hold besides the limit.
        setting: the setting that it comes from.
        tried: a smaller limit to set and to try, where the real one takes long; so that no test waits for it.
    """

    what: str
    most: int
    ask: Callable[[System, int], str]
    says: str
    setting: str = ""
    tried: int = 0


def dispatching(*events: Any, store: EventStore, **options: Any) -> str:
    try:
        store.dispatch(*events, **options)
    except (InvalidEvent, DispatchTooDeep) as error:
        return str(error)
    return ""


def answer(response: Any) -> str:
    if response.status_code < 300:
        return ""
    problem = response.json()
    return f"{response.status_code} {problem.get('field')} {problem['detail']}"


def reading(system: System, **arguments: Any) -> str:
    try:
        list(system.store.read_all(**arguments))
    except InvalidEvent as error:
        return str(error)
    return ""


def event_bytes(system: System, size: int) -> str:
    return dispatching(new(data={"x": "y" * (size - len('{"x":""}') - len("{}"))}), store=system.store)


def events(system: System, size: int) -> str:
    here = dispatching(*some(size), store=system.store)
    by_request = answer(system.api.post("/api/aggregates/a-2/events/", [{"type": "A"}] * size, format="json"))
    assert bool(here) == bool(by_request)
    return here


def expectations(system: System, size: int) -> str:
    expected = {f"a-{number}": ANY for number in range(size)}
    body = {"events": [], "expected_version": dict.fromkeys(expected, "any")}
    by_request = answer(system.api.post("/api/events/", body, format="json"))
    here = dispatching(expected_version=expected, store=system.store)
    assert bool(here) == bool(by_request)
    return here


def dispatched_bytes(system: System, size: int) -> str:
    system.settings.EVENTS_MAX_EVENT_BYTES = 1000
    each = [new(data={"x": "y" * 90}) for _ in range(9)]  # 100 bytes, with the empty metadata
    return dispatching(*each, new(data={"x": "y" * (size - 9 * 100 - 10)}), store=system.store)


def nesting(system: System, size: int) -> str:
    data: Any = {}
    for _ in range(size - 1):
        data = {"a": data}
    return dispatching(new(data=data), store=system.store)


def digits(system: System, size: int) -> str:
    return dispatching(new(data={"n": 10 ** (size - 1)}), store=system.store)


def name(system: System, size: int) -> str:
    found = [
        dispatching(new("x" * size), store=system.store),
        dispatching(new(type="x" * size), store=system.store),
        reading(system, types=["x" * size]),
        reading(system, categories=["x" * size]),
        answer(system.api.get("/api/events/", {"category": "x" * size})),
    ]
    assert len({bool(each) for each in found}) == 1, found
    return found[0]


def correlation_id(system: System, size: int) -> str:
    return dispatching(new(metadata={"correlation_id": "x" * size}), store=system.store)


def days_beyond(system: System, days: int) -> str:
    """Moments have no size: those at both ends, and so far beyond."""
    found = [
        dispatching(new(timestamp=moment), store=system.store)
        for moment in (EARLIEST - timedelta(days=days), LATEST + timedelta(days=days))
    ]
    assert bool(found[0]) == bool(found[1])
    return found[0]


def number(system: System, size: int) -> str:
    found = [reading(system, after=size), reading(system, up_to=size), reading(system, limit=size)]
    found.append(answer(system.api.get("/api/events/", {"after": size})))
    assert len({bool(each) for each in found}) == 1, found
    return found[0]


def selection(system: System, size: int) -> str:
    names = [f"n{number}" for number in range(size)]
    found = [
        reading(system, types=names),
        reading(system, categories=names),
        answer(system.api.get("/api/events/", {"type": names})),
        answer(system.api.get("/api/events/", {"category": names})),
    ]
    assert len({bool(each) for each in found}) == 1, found
    return found[0]


def depth(system: System, size: int) -> str:
    def deeper(event: Event, **kwargs: Any) -> None:
        if event.data["n"] < size:
            system.store.dispatch(new(data={"n": event.data["n"] + 1}))

    with system.store.subscribe("Happened", deeper):
        return dispatching(new(data={"n": 1}), store=system.store)


def permitted_category(system: System, size: int) -> str:
    system.settings.EVENTS_CATEGORY_PERMISSIONS = ["x" * size]
    return " ".join(f"{each.id} {each.hint}" for each in checks.check_settings())


def body(system: System, size: int) -> str:
    text = b'{"type": "A"}'.ljust(size)
    return answer(system.api.post("/api/aggregates/a-1/events/", text, content_type="application/json"))


def query(system: System, size: int) -> str:
    # Of other parameters than these there cannot be so many: the count is what is rejected, before their names are.
    response = system.api.get("/api/events/", {"x": ["1"] * size})
    assert response.status_code == 400
    problem = response.json()
    return "" if problem.get("field") == "x" else f"{problem.get('field')} {problem['detail']}"


def parameter(system: System, size: int) -> str:
    found = [
        answer(system.api.get("/api/events/", {name: "x" * size}))
        for name in ("type", "category", "aggregate_id", "correlation_id")
    ]
    found += [answer(system.api.get("/api/aggregates/", {name: "x" * size})) for name in ("starts_with", "after")]
    assert len({bool(each) for each in found}) == 1, found
    # Whatever is no number or moment is rejected in any case, but not said again at any length.
    assert len(answer(system.api.get("/api/events/", {"timestamp_after": "1" * size}))) < 500
    return found[0]


def page(system: System, size: int) -> str:
    return answer(system.api.get("/api/events/", {"limit": size}))


def days(system: System, size: int) -> str:
    return answer(system.api.get("/api/read-models/daily-activity/", {"days": size}))


def header(system: System, size: int) -> str:
    known = '"7", ' * (size // 5 - 1)
    found = [
        answer(system.api.get("/api/aggregates/a-1/events/", headers={"If-None-Match": known.ljust(size, ",")})),
        answer(
            system.api.post("/api/aggregates/a-1/events/", [], format="json", headers={"If-Match": "*".ljust(size)})
        ),
    ]
    # An asterisk and blanks are not what is rejected at the limit, but that there is no aggregate to match.
    found[1] = "" if found[1].startswith("412") else found[1]
    assert bool(found[0]) == bool(found[1]), found
    return found[0]


def idempotency_key(system: System, size: int) -> str:
    headers = {"Idempotency-Key": "k" * size}
    return answer(system.api.post("/api/aggregates/a-1/events/", {"type": "A"}, format="json", headers=headers))


def attribute(system: System, size: int) -> str:
    event = {"specversion": "1.0", "id": "1", "source": "/x", "type": "A", "subject": "a-1", "x" * size: "y"}
    return answer(system.api.post("/api/events/", json.dumps(event), content_type="application/cloudevents+json"))


def line(system: System, size: int) -> str:
    text = b'{"aggregate_id": "a-1", "type": "A"}'.ljust(size - 1) + b"\n"
    return answer(system.api.post("/api/events/import/", text, content_type="application/x-ndjson"))


def on_the_list(system: System, **parameters: str) -> str:
    response = system.admin.get(EVENTS, parameters)
    assert response.status_code == 200
    return " ".join(each.message for each in get_messages(response.wsgi_request))


def search(system: System, size: int) -> str:
    found = [
        on_the_list(system, q="x" * size),
        on_the_list(system, q="x" * size, **{"in": "data"}),
        " ".join(
            each.message
            for each in get_messages(system.admin.get("/admin/events/aggregate/", {"q": "x" * size}).wsgi_request)
        ),
    ]
    assert len({bool(each) for each in found}) == 1, found
    return found[0]


def typed(system: System, size: int) -> str:
    found = [on_the_list(system, correlation_id="x" * size), on_the_list(system, aggregate_id="x" * size)]
    assert bool(found[0]) == bool(found[1])
    return found[0]


LIMITS = [
    Limit(
        "bytes of one event's data and metadata, as JSON", 1024 * 1024, event_bytes, "data: ", "EVENTS_MAX_EVENT_BYTES"
    ),
    Limit("events of one dispatch, or of one request", 10_000, events, "events: ", "EVENTS_MAX_DISPATCH_EVENTS", 20),
    Limit(
        "aggregates in one `expected_version`",
        10_000,
        expectations,
        "expected_version: ",
        "EVENTS_MAX_DISPATCH_EVENTS",
        20,
    ),
    Limit(
        "bytes of all events of one dispatch, as JSON",
        64 * 1024 * 1024,
        dispatched_bytes,
        "event 9: events: ",
        "EVENTS_MAX_DISPATCH_BYTES",
        1500,
    ),
    Limit("levels of nesting in data or metadata", 254, nesting, "data.a.a"),
    Limit("digits of an integer", 4300, digits, "data.n: is an integer of more digits than Python converts"),
    Limit("characters of an aggregate id, an event type, a category", 255, name, "aggregate_id: "),
    Limit("characters of `correlation_id` in the metadata", 255, correlation_id, "metadata.correlation_id: "),
    Limit("timestamps", 0, days_beyond, "timestamp: lies outside 0001-01-02 to 9999-12-30"),
    Limit("positions, versions, a `limit` in Python", 2**63 - 1, number, "after: "),
    Limit("types or categories in one query", 500, selection, "types: "),
    Limit("handlers that dispatch inside handlers", 32, depth, "levels deep", "EVENTS_MAX_DISPATCH_DEPTH"),
    Limit("characters of a category with permissions of its own", 80, permitted_category, "events.E002"),
    Limit("bytes of a request's body, except an import", 2621440, body, "413", "DATA_UPLOAD_MAX_MEMORY_SIZE"),
    Limit("parameters in one address", 1000, query, "query ", "DATA_UPLOAD_MAX_NUMBER_FIELDS"),
    Limit("characters of one parameter", 255, parameter, "400 type "),
    Limit("entries of a page (`limit`)", 1000, page, "400 limit ", "EVENTS_API_MAX_PAGE_EVENTS"),
    Limit("days of daily activity (`days`)", 366, days, "400 days "),
    Limit("characters of `If-Match`, `If-None-Match`, `Last-Event-ID`", 1024, header, "400 If-None-Match "),
    Limit("characters of `Idempotency-Key`", 255, idempotency_key, "400 Idempotency-Key "),
    Limit("characters of a CloudEvent attribute's name", 50, attribute, "400 xxx"),
    Limit(
        "bytes of a line of an import; characters of CSV and of an array's element",
        6 * 1024 * 1024 + 16 * 1024,
        line,
        "400 line ",
    ),
    Limit("characters of a search in the admin", 255, search, ""),
    Limit("characters typed into a filter of the admin", 255, typed, "correlation_id has more than 255 characters"),
]


@pytest.fixture
def system(request: pytest.FixtureRequest) -> System:
    return System(request)


def rows() -> dict[str, list[str]]:
    """The table, by its first column."""
    lines = [line for line in TABLE.read_text().splitlines() if line.startswith("| ")]
    found = [re.split(r"\s*\|\s*", line)[1:-1] for line in lines]
    return {cells[0]: cells[1:] for cells in found[1:]}


def test_table_names_the_limits_that_are_tested() -> None:
    table = rows()
    assert list(table) == [limit.what for limit in LIMITS]
    for limit in LIMITS:
        most, origin, _ = table[limit.what]
        if limit.what != "timestamps":
            assert most == f"{limit.most:,}", limit.what
        named = re.findall(r"`((?:EVENTS|DATA)_\w+)`", origin)
        assert limit.setting in ("", *named)
        if limit.setting.startswith("EVENTS_"):
            assert getattr(conf, limit.setting.removeprefix("EVENTS_").lower()) == limit.most
        elif limit.setting:
            assert getattr(django_settings, limit.setting) == limit.most
    assert sys.get_int_max_str_digits() == 4300


@pytest.mark.parametrize("limit", LIMITS, ids=lambda limit: limit.what)
def test_limit_is_where_the_table_says(system: System, limit: Limit) -> None:
    most = limit.tried or limit.most
    if limit.tried:
        setattr(system.settings, limit.setting, most)
    assert limit.ask(system, most) == ""
    before = Event.objects.count()
    error = limit.ask(system, most + 1)
    assert limit.says in error
    assert error, "what is beyond the limit was taken"
    assert "timestamps" in limit.what or "digits" in limit.what or f"{most:,}" in error or str(most) in error, error
    assert limit.setting in error or limit.setting == "EVENTS_API_MAX_PAGE_EVENTS", "the setting is not named"
    assert Event.objects.count() == before


@pytest.mark.parametrize("text", ["100%", "a_b", "back\\slash", "\\", "%", "_", "'; --", '"'])
def test_marks_of_patterns_mean_themselves_in_a_search(store: EventStore, admin_client: Client, text: str) -> None:
    """Both where the beginning of an id is searched for, and where the data is."""
    (meant, other) = store.dispatch(new(f"{text}-1", data={"x": text}), new("other-1", data={"x": "100 aXb backslash"}))
    by_id = admin_client.get(EVENTS, {"q": f"{text}-"}).context["cl"].result_list
    assert by_id == [meant]
    in_data = admin_client.get(EVENTS, {"q": json.dumps(text)[1:-1], "in": "data"}).context["cl"].result_list
    assert meant in in_data
    assert (other in in_data) == (json.dumps(text)[1:-1] in json.dumps(other.data))
    listed = admin_client.get("/admin/events/aggregate/", {"q": f"{text}-"}).context["cl"].result_list
    assert [each.aggregate_id for each in listed] == [f"{text}-1"]


def test_one_event_may_be_as_large_as_its_own_limit(settings: Any) -> None:
    settings.EVENTS_MAX_DISPATCH_BYTES = 10
    assert validate_events([new(data={"x": "y" * 100})])


def test_import_takes_no_larger_batches_than_a_dispatch(store: EventStore, settings: Any, tmp_path: Path) -> None:
    from django.core.management import call_command

    settings.EVENTS_MAX_DISPATCH_EVENTS = 7
    path = tmp_path / "events.jsonl"
    path.write_text("".join(json.dumps({"aggregate_id": f"a-{n}", "type": "A"}) + "\n" for n in range(20)))
    call_command("import_events", path, batch_size=100, stdout=io.StringIO())
    assert Event.objects.count() == 20


def test_line_of_csv_is_no_longer_than_an_event_can_be(settings: Any) -> None:
    settings.EVENTS_MAX_EVENT_BYTES = 1000
    longest = 6 * 1000 + 16 * 1024
    row = "a-1,A," + ",".join(["x" * 100] * 220)
    header = "id,type," + ",".join(f"c{n}" for n in range(220))
    assert len(row) < longest
    form = CsvFormat(aggregate_id="id", type="type", read_timestamp=timestamp_reader(None, None))
    (taken,) = CsvFile(io.StringIO(f"{header}\n{row}\n"), form)
    assert "takes 24,093 bytes" in str(taken.error)  # the row was read, and the event is too large
    found = list(CsvFile(io.StringIO(f"{header}\n{row}{'x' * 1000}\n{row}\n"), form))
    assert [each.error and each.error.field for each in found] == ["line", "data"]
    assert f"a line is longer than {longest:,} characters" in str(found[0].error)
