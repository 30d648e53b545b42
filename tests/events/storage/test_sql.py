"""The SQL functions that append, called by SQL clients."""

import json
import re
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from events.models import Aggregate, Event
from events.store import EventStore
from tests import ROOT
from tests.support import aggregates, last_position, new, some, stored

pytestmark = pytest.mark.django_db


def append_by_sql(aggregate_ids: list[str], *rest: Any) -> list[Any]:
    arguments = [aggregate_ids, ["Happened"] * len(aggregate_ids), ["{}"] * len(aggregate_ids)]
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT outcome, aggregate_id, version FROM events_append(%s, %s, %s::jsonb[], %s::jsonb[],"
            " array_fill(NULL::timestamptz, ARRAY[%s]), ARRAY(SELECT gen_random_uuid() FROM generate_series(1, %s))"
            f"{', %s' * len(rest)})",
            [*arguments, arguments[2], len(aggregate_ids), len(aggregate_ids), *rest],
        )
        return cursor.fetchall()


def test_append_function_serves_psql_and_raises_there(store: EventStore) -> None:
    assert append_by_sql(["a-1", "b-1", "a-1"]) == [
        ("appended", "a-1", 1),
        ("appended", "b-1", 1),
        ("appended", "a-1", 2),
    ]
    before = last_position()
    with pytest.raises(DatabaseError, match="aggregate a-1 was expected at version 7 but is at 2"):
        with transaction.atomic():
            append_by_sql(["a-1"], ["a-1"], [7])
    assert last_position() == before
    assert [event.version for event in store.get_events_for_aggregate("a-1")] == [1, 2]
    with pytest.raises(DatabaseError, match="1 aggregates are expected at 0 versions"), transaction.atomic():
        append_by_sql(["a-1"], ["a-1"], [])


def test_append_function_for_one_event_serves_psql_and_raises_there(store: EventStore) -> None:
    def append_one(arguments: str) -> Any:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SELECT outcome, aggregate_id, version, position FROM events_append_one({arguments})")
            return cursor.fetchone()

    assert append_one("'a-1', 'Happened', '{}'") == ("appended", "a-1", 1, last_position())
    event = store.get_events_for_aggregate("a-1")[0]
    assert (event.metadata, event.timestamp) == ({}, event.recorded_at)
    before = last_position()
    with pytest.raises(DatabaseError, match="aggregate a-1 was expected at version 7 but is at 1"):
        append_one("'a-1', 'Happened', '{}', p_expected => 7")
    with pytest.raises(DatabaseError, match=f"the event id {event.event_id} is already in use, in aggregate a-1"):
        append_one(f"'b-1', 'Happened', '{{}}', p_event_id => '{event.event_id}'")
    assert last_position() == before
    assert aggregates() == {"a-1": 1}


def test_statement_of_the_documentation_appends(store: EventStore) -> None:
    page = ROOT / "docs/operations.md"
    (statement,) = re.findall(r"^## From SQL$.*?^```sql\n(.*?)^```$", page.read_text(), re.MULTILINE | re.DOTALL)
    with connection.cursor() as cursor:
        cursor.execute(statement)
        assert cursor.fetchone() == (1, last_position())
    assert [event.data for event in store.get_events_for_aggregate("order-17")] == [{"method": "card"}]


@pytest.mark.parametrize("others", [[], ["a-1"], ["b-1"]])
def test_recorded_at_does_not_run_backwards_in_an_aggregate(store: EventStore, others: list[str]) -> None:
    """Whatever the clock does: as of a moment, a history is a beginning of the history."""
    store.dispatch(new("a-1"))
    later = timezone.now() + timedelta(hours=1)
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL events.maintenance = 'on'")
        cursor.execute("UPDATE events_aggregate SET updated_at = %s", [later])
        cursor.execute("SET LOCAL events.maintenance = ''")
        events = store.dispatch(new("a-1"), *map(new, others))
    assert {event.recorded_at for event in events if event.aggregate_id == "a-1"} == {later}


@pytest.mark.parametrize("event_id", ["new", "its own", "another's"])
@pytest.mark.parametrize("expected", [None, -1, 0, 1, 2, 3])
@pytest.mark.parametrize("aggregate_id", ["a-1", "none-1"])
def test_both_append_functions_answer_and_leave_the_same(
    store: EventStore, aggregate_id: str, expected: int | None, event_id: str
) -> None:
    first, _, other = store.dispatch(*some(2), new("b-1"))
    ids = {"new": uuid4(), "its own": first.event_id, "another's": other.event_id}
    checked = [] if expected is None else [aggregate_id]
    calls = {
        "events_append(ARRAY[%s], ARRAY['T'], ARRAY['{}'::jsonb], ARRAY['{}'::jsonb], ARRAY[NULL::timestamptz],"
        " ARRAY[%s::uuid], %s::text[], %s::bigint[], false)": (checked, [expected] * len(checked)),
        "events_append_one(%s, 'T', '{}', '{}', NULL, %s::uuid, %s, false)": (expected,),
    }
    found = []
    for call, expectation in calls.items():
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(
                f"SELECT outcome, aggregate_id, version FROM {call}", [aggregate_id, ids[event_id], *expectation]
            )
            rows = cursor.fetchall()
            rejected = rows[0][0] != "appended"
            times = dict(Aggregate.objects.values_list("pk", "updated_at")) if rejected else {}
            found.append((rows, stored(), aggregates(), times))
            transaction.set_rollback(True)
    assert found[0] == found[1]


BAD_NAMES = ["", "x" * 256, "a\nb", "a\x7fb", "a\x85b"]


FAULTS = [
    *[("aggregate_id", name, "the aggregate id must have 1 to 255 characters") for name in BAD_NAMES],
    *[("aggregate_id", name, 'and not be "." or ".."') for name in (".", "..")],
    *[("type", name, "the type must have 1 to 255 characters") for name in BAD_NAMES],
    *[("data", value, "the data must be a JSON object") for value in ("[]", "null", "1")],
    ("metadata", '"text"', "the metadata must be a JSON object"),
    ("metadata", '{"correlation_id": "%s"}' % ("x" * 256), "the correlation_id must have at most 255 characters"),
    *[("timestamp", moment, "the timestamp must be from") for moment in ("0001-01-01Z", "infinity", "9999-12-31Z")],
]


@pytest.mark.parametrize("others", [0, 2])
@pytest.mark.parametrize(("field", "value", "message"), FAULTS)
def test_append_function_keeps_the_limits_for_psql_too(field: str, value: str, message: str, others: int) -> None:
    good = {"aggregate_id": "a-1", "type": "x" * 255, "data": "{}", "metadata": "{}", "timestamp": "2026-01-01Z"}
    columns = [[fields[name] for fields in [*[good] * others, good | {field: value}]] for name in good]
    with pytest.raises(IntegrityError, match=message), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT events_append(%s, %s, %s::jsonb[], %s::jsonb[], %s::timestamptz[],"
            " ARRAY(SELECT gen_random_uuid() FROM generate_series(1, %s)), p_raise => false)",
            [*columns, others + 1],
        )
    with pytest.raises(IntegrityError, match=message), transaction.atomic(), connection.cursor() as cursor:
        one = [column[-1] for column in columns]
        cursor.execute("SELECT events_append_one(%s, %s, %s, %s, %s::timestamptz, p_raise => false)", one)
    assert not Event.objects.exists()


DEEP = '{"a": ' * 255 + "1" + "}" * 255
UNREADABLE = [
    ("a number of 5,000 digits", '{"v": %s}' % ("9" * 5000), "has a number that Python cannot read"),
    ("a negative one in a list", '{"v": [1, {"w": -%s}]}' % ("9" * 4301), "has a number that Python cannot read"),
    ("an exponent", '{"v": 1e5000}', "has a number that Python cannot read"),
    ("beyond a float", '{"v": %s.5}' % ("9" * 309), "has a number that Python cannot read"),
    ("the first float that is infinite", '{"v": 1797693134862315808%s.0}' % ("0" * 290), "has a number that Python"),
    ("zero to a float", '{"v": 1e-999}', "has a number that Python would read as zero"),
    ("the last float that is zero", '{"v": {"w": [1, -2.4703282292062327e-324]}}', "would read as zero"),
    ("deep", DEEP, "is nested more than 254 levels deep"),
    ("deep and empty", '{"a": %s}' % ("[" * 254 + "]" * 254), "is nested more than 254 levels deep"),
    ("deep lists", '{"a": %s}' % ("[" * 254 + "1" + "]" * 254), "is nested more than 254 levels deep"),
    ("large", '{"a": "%s"}' % ("x" * 2 * 1024 * 1024), "takes 2097163 bytes as PostgreSQL writes it"),
    ("many small numbers", '{"a": [%s1]}' % ("1e-300," * 10_000), "as PostgreSQL writes it"),
]
READABLE = [
    '{"v": %s}' % ("9" * 4300),
    '{"v": -%s}' % ("9" * 4300),
    '{"v": "%s"}' % ("9" * 5000),
    '{"%s": 1}' % ("9" * 5000),
    '{"v": 1e4299}',
    '{"v": 5e-324, "w": [-5e-324, 0.0, %s0.0]}' % ("0." + "0" * 400 + ", "),
    '{"v": "%s1"}' % ("0." + "0" * 400),
    '{"v": 17976931348623157%s.0}' % ("0" * 292),
    '{"a": ' * 254 + "1" + "}" * 254,
    '{"a": "%s"}' % ("[" * 600),
]


@pytest.mark.parametrize("field", ["data", "metadata"])
@pytest.mark.parametrize(("name", "content", "message"), UNREADABLE, ids=lambda each: each[:20])
@pytest.mark.parametrize("function", ["events_append_one", "events_append"])
def test_json_that_python_cannot_read_is_rejected(
    function: str, name: str, content: str, message: str, field: str
) -> None:
    values = {"data": "{}", "metadata": "{}"} | {field: content}
    arguments = "'a-1', 'T', %s::jsonb, %s::jsonb"
    if function == "events_append":
        arguments = (
            "ARRAY['b-1', 'a-1'], ARRAY['T', 'T'], ARRAY['{}', %s]::jsonb[], ARRAY['{}', %s]::jsonb[],"
            " ARRAY[NULL, NULL]::timestamptz[], ARRAY[gen_random_uuid(), gen_random_uuid()], p_raise => false"
        )
    with pytest.raises(IntegrityError, match=message) as caught, transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(f"SELECT {function}({arguments})", list(values.values()))
    assert caught.value.__cause__.sqlstate == "23514"
    assert stored() == []


def test_many_numbers_are_checked_in_linear_time() -> None:
    content = json.dumps({"digits": "9" * 300, "numbers": [1] * 400_000})
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL statement_timeout = '8s'")  # it took 20 s, and now takes 0.4 s
        cursor.execute("SELECT outcome FROM events_append_one('a-1', 'T', %s::jsonb)", [content])
        assert cursor.fetchone() == ("appended",)


@pytest.mark.parametrize("content", READABLE, ids=lambda content: content[:20])
def test_json_at_the_limits_is_stored_and_read(store: EventStore, content: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT events_append_one('a-1', 'T', %s::jsonb)", [content])
    (event,) = store.get_events_for_aggregate("a-1")
    assert event.data.keys() == json.loads(content).keys()


@pytest.mark.parametrize("function", ["events_append_one", "events_append"])
def test_append_turns_synchronous_commit_on(function: str) -> None:
    """Otherwise a crash could lose an event that readers have seen, and give its position out again."""
    arguments = "'a-1', 'T', '{}'"
    if function == "events_append":
        arguments = "'{a-1}', '{T}', ARRAY['{}'::jsonb], ARRAY['{}'::jsonb], '{NULL}', ARRAY[gen_random_uuid()]"
    for before, after in (("off", "on"), ("on", "on"), ("local", "local"), ("remote_apply", "remote_apply")):
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL synchronous_commit = {before}")
            cursor.execute(f"SELECT {function}({arguments})")
            cursor.execute("SHOW synchronous_commit")
            assert cursor.fetchone() == (after,)
            transaction.set_rollback(True)


def test_sequence_behind_the_events_is_no_duplicate(store: EventStore) -> None:
    """The state after a logical replication."""
    store.dispatch(*some(3))
    event = new()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT setval('events_event_position_seq', %s)", [last_position() - 2])
        with pytest.raises(IntegrityError, match=r"numbers that the database gives out.*events_doctor"):
            with transaction.atomic():
                store.dispatch(event)
        cursor.execute("SELECT setval('events_event_position_seq', max(position)) FROM events_event")
    assert not store.dispatch(event).is_retry


@pytest.mark.django_db(transaction=True)
def test_append_never_reads_the_whole_table_though_it_was_empty_when_the_session_began(store: EventStore) -> None:
    def whole_table_reads() -> int:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_stat_force_next_flush()")
            cursor.execute("SELECT seq_scan FROM pg_stat_user_tables WHERE relname = 'events_event'")
            return int(cursor.fetchone()[0])

    connection.close()  # a new session, without plans
    before = whole_table_reads()
    for number in range(30):
        store.dispatch(*some(1 + number % 3, f"a-{number % 7}"), new(f"b-{number % 5}"))
        store.dispatch(*some(1 + number % 3, f"c-{number % 7}"))
    assert whole_table_reads() == before
