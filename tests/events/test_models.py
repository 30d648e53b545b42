"""What is stored stays: through the model, querysets, SQL and Django's own tools."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest
from django.db import DatabaseError, IntegrityError, connection, transaction

from events.exceptions import ImmutableEvent, VersionConflict
from events.models import Aggregate, Event
from events.store import EventStore
from projections.models import AggregateActivity
from tests.support import new, some

pytestmark = pytest.mark.django_db


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
        DatabaseError, match=r"rejected: (rows of events_\w+ cannot be changed|only the functions of the store)"
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


@pytest.mark.parametrize(
    "write",
    [
        lambda event: Event._base_manager.bulk_create([event]),
        lambda event: event.save_base(),
        lambda event: Aggregate._base_manager.filter(pk="a-1").update(version=50),
    ],
)
def test_ways_around_the_models_end_at_the_guards(event: Event, write: Callable[[Event], Any]) -> None:
    with pytest.raises(DatabaseError, match="rejected"), transaction.atomic():
        write(event)
    assert (Event.objects.count(), Aggregate.objects.get().version) == (1, 1)


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


@pytest.mark.parametrize("are_rare", [True, False])
def test_many_categories_hold_the_aggregates_of_each(
    store: EventStore, are_rare: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not are_rare:
        monkeypatch.setattr("events.models._MAX_LOOKED_UP", 1)
    names = ["a-1", "a", "a!-1", "-1", "b-1-2", "c", "%-1", "é-1", "d-1"]
    store.dispatch(*map(new, names))
    categories = ["a", "", "b", "%", "é", "c-1", *(f"none{number}" for number in range(494))]
    wanted = {"a-1", "a", "-1", "b-1-2", "%-1", "é-1"}
    for rows in (Aggregate.objects.all(), Event.objects.all(), AggregateActivity.objects.all()):
        assert set(rows.within(categories).values_list("aggregate_id", flat=True)) == wanted


def test_many_categories_are_one_condition(store: EventStore) -> None:
    """As ranges, PostgreSQL would take them for most of the table, and compare each event with each range."""
    store.dispatch(*some(3))
    for rows in (Event.objects.all(), AggregateActivity.objects.all()):
        plan = rows.within([f"none{number}" for number in range(500)]).explain()
        assert plan.count("aggregate_id") < 10, plan
