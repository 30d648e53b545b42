"""What is stored stays: through the model, querysets, SQL and Django's own tools."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError, IntegrityError, connection, transaction
from django.utils import timezone

from events.exceptions import ImmutableEvent, VersionConflict
from events.models import Aggregate, Event
from events.store import EventStore
from projections.models import AggregateActivity
from tests.support import aggregates, last_position, new, some, stored

pytestmark = pytest.mark.django_db


@pytest.fixture
def event(store: EventStore) -> Event:
    return store.dispatch(new(data={"n": 1}))[0]


@pytest.mark.parametrize(
    "write",
    [
        lambda event: event.save(),
        lambda event: event.delete(),
        lambda event: Event().save(),
        lambda event: Event.objects.update(type="x"),
        lambda event: Event.objects.all().delete(),
        lambda event: Event.objects.bulk_update([event], ["type"]),
        lambda event: Event.objects.bulk_create([Event()]),
        lambda event: Event.objects.create(),
        lambda event: Event.objects.get_or_create(type="x"),
        lambda event: Event.objects.update_or_create(type="x"),
        lambda event: Aggregate.objects.get().save(),
        lambda event: Aggregate.objects.get().delete(),
        lambda event: Aggregate.objects.update(version=9),
        lambda event: Aggregate.objects.filter(version=1).delete(),
    ],
)
def test_models_and_querysets_reject_to_write(event: Event, write: Callable[[Event], Any]) -> None:
    before = list(Event.objects.values()), list(Aggregate.objects.values())
    with pytest.raises(ImmutableEvent, match=r"cannot be changed or removed; append .* EventStore.dispatch"):
        write(event)
    assert (list(Event.objects.values()), list(Aggregate.objects.values())) == before


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE events_event SET type = 'x'",
        "UPDATE events_event SET type = 'x' WHERE false",
        "DELETE FROM events_event",
        "TRUNCATE events_event",
        "TRUNCATE events_aggregate",
        "DELETE FROM events_aggregate",
        "UPDATE events_aggregate SET aggregate_id = 'x'",
        "UPDATE events_aggregate SET version = version - 1",
        "UPDATE events_aggregate SET version = version + 1",
        "UPDATE events_aggregate SET created_at = now()",
        "INSERT INTO events_event SELECT * FROM events_event",
        "INSERT INTO events_aggregate (aggregate_id, version, created_at, updated_at) VALUES ('x', 1, now(), now())",
        "MERGE INTO events_event e USING (SELECT 1) AS x ON true WHEN MATCHED THEN DELETE",
    ],
)
def test_database_rejects_to_change_what_is_stored(event: Event, statement: str) -> None:
    with pytest.raises(
        DatabaseError, match=r"rejected: (rows of events_\w+ cannot be changed|only events_append)"
    ) as caught:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)
    assert not isinstance(caught.value, IntegrityError)
    assert Event.objects.get() == event
    assert Aggregate.objects.get().version == 1


def test_maintenance_passes_for_one_transaction(event: Event) -> None:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL events.maintenance = 'on'")
        cursor.execute("UPDATE events_event SET type = 'Corrected'")
        cursor.execute("SET LOCAL events.maintenance = 'off'")
        with pytest.raises(DatabaseError), transaction.atomic():
            cursor.execute("DELETE FROM events_event")
    assert Event.objects.get().type == "Corrected"


@pytest.mark.parametrize("expected", [0, {"a-1": 0, "b-1": 0}, {"a-1": 1, "b-1": 0}, 1])
def test_guards_are_up_again_after_each_dispatch(store: EventStore, event: Event, expected: Any) -> None:
    """Appended or rejected, of one aggregate or several: in the same transaction nothing else gets in."""
    with suppress(VersionConflict):
        store.dispatch(new(), expected_version=expected)
    for statement in ("INSERT INTO events_event SELECT * FROM events_event", "UPDATE events_aggregate SET version = 9"):
        with pytest.raises(DatabaseError, match="rejected"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(statement)


def test_guards_are_up_again_after_an_append_that_failed(event: Event) -> None:
    with pytest.raises(IntegrityError, match="null value"), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(
            "SELECT events_append(ARRAY['a-1'], ARRAY[NULL], ARRAY['{}'::jsonb], ARRAY['{}'::jsonb], ARRAY[now()],"
            " ARRAY[gen_random_uuid()])"
        )
    with pytest.raises(DatabaseError, match="rejected"), transaction.atomic():
        Aggregate._base_manager.update(version=9)


@pytest.mark.django_db(transaction=True)
def test_flush_empties_test_databases_only(event: Event, monkeypatch: pytest.MonkeyPatch) -> None:
    from django.core import mail

    with monkeypatch.context() as patch:
        patch.delattr(mail, "outbox")
        with pytest.raises(CommandError, match="Rejected: flush would remove every event"):
            call_command("flush", interactive=False, verbosity=0)
    assert Event.objects.count() == 1
    call_command("flush", interactive=False, verbosity=0)
    assert Event.objects.count() == 0


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
    page = Path(__file__).parents[2] / "docs/operations.md"
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


@pytest.mark.parametrize(
    "write",
    [
        lambda event: Event._base_manager.bulk_create([event]),
        lambda event: event.save_base(raw=True),
        lambda event: Aggregate._base_manager.filter(pk="a-1").update(version=50),
    ],
)
def test_ways_around_the_models_end_at_the_guards(event: Event, write: Callable[[Event], Any]) -> None:
    with pytest.raises(DatabaseError, match="rejected"), transaction.atomic():
        write(event)
    assert (Event.objects.count(), Aggregate.objects.get().version) == (1, 1)


BAD_NAMES = ["", "x" * 256, "a\nb", "a\x7fb", "a\x85b"]
FAULTS = [
    *[("aggregate_id", name, "the aggregate id must have 1 to 255 characters") for name in BAD_NAMES],
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


@pytest.mark.parametrize("way", ["one by one", "a batch each", "all at once"])
def test_category_is_the_part_before_the_first_dash(store: EventStore, way: str) -> None:
    names = ("user-1", "user-2-b", "plain", "-x", "é-1")
    calls = [[new(name) for name in names]] if way == "all at once" else [[new(name)] for name in names]
    for call in calls:
        store.dispatch(*call, *some(2, call[0].aggregate_id) * (way == "a batch each"))
    assert dict(Aggregate.objects.values_list("aggregate_id", "category")) == {
        "user-1": "user",
        "user-2-b": "user",
        "plain": "plain",
        "-x": "",
        "é-1": "é",
    }
    assert set(Aggregate.objects.in_category("user").values_list("pk", flat=True)) == {"user-1", "user-2-b"}


@pytest.mark.parametrize(
    "categories", [("a", "c"), ("a!", "a"), ("", "é"), ("b", "c-1"), ("c-1",), ("none", "c"), ("c", "c"), ()]
)
def test_several_categories_hold_the_aggregates_of_each(store: EventStore, categories: tuple[str, ...]) -> None:
    names = ["a-1", "a", "a!-1", "a!", "a.", "b-1", "b,x", "c-1", "c-1-2", "cc-1", "-x", "é-1", "éa-1"]
    store.dispatch(*map(new, names))
    wanted = {name for name in names if name.partition("-")[0] in categories}
    for rows in (Aggregate.objects.all(), Event.objects.all(), AggregateActivity.objects.all()):
        assert set(rows.within(categories).values_list("aggregate_id", flat=True)) == wanted


def test_first_page_of_late_categories_is_not_searched_for_from_the_first_aggregate_on(store: EventStore) -> None:
    store.dispatch(*[new(f"a-{n}") for n in range(500)], *[new(f"{name}-1") for name in ("y", "z")])
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE events_aggregate, projections_aggregateactivity")
        cursor.execute("SET LOCAL enable_seqscan = off")
    for rows in (Aggregate.objects.all(), AggregateActivity.objects.all()):
        plan = rows.within(["y", "z"]).order_by("aggregate_id")[:50].explain()
        assert "(aggregate_id >= 'y'::text) AND (aggregate_id < 'z.'::text)" in plan, plan


def test_history_and_prefix_queries_use_the_index_on_the_aggregate(store: EventStore) -> None:
    store.dispatch(*[new(f"user-{n}") for n in range(500)], *some(500))
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE events_event")
        cursor.execute("SET LOCAL enable_seqscan = off")
    plan = Event.objects.in_category("user").order_by().explain()
    assert "events_event_version" in plan
    assert "Index Cond: ((aggregate_id >= 'user-'::text) AND (aggregate_id < 'user.'::text))" in plan
    assert "events_event_correlation" in Event.objects.correlated_by("x").order_by("position")[:101].explain()
