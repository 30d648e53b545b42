"""INLINE projections: part of the append, and of its transaction."""

from typing import Any

import pytest
from django.db import connection, transaction

from events.store import EventStore
from eventstore_project.models import Order
from projections.base import INLINE, NOW
from projections.engine import inline, registration
from projections.models import ProjectionState, Rebuild
from projections.operations import status
from tests.projections.support import catch_up, instance, notes, tally
from tests.readmodels.models import FragileNote, Total
from tests.readmodels.projections import Broken, Fragile, Tally
from tests.support import in_threads, new, raise_first

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def inline_fragile(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Fragile, "mode", INLINE)
    ProjectionState.objects.filter(name="fragile").delete()
    inline.subscribe(instance(Fragile))


def test_rows_are_right_inside_the_transaction_and_go_with_it(store: EventStore, inline_fragile: None) -> None:
    with transaction.atomic():
        store.dispatch(new("a-1", "Fragile"))
        assert notes() == [("a-1", 1)]
        transaction.set_rollback(True)
    assert notes() == []
    store.dispatch(new("a-1", "Fragile"))
    assert notes() == [("a-1", 1)]


def test_error_rejects_the_append_and_reaches_the_caller_as_it_is(store: EventStore, inline_fragile: None) -> None:
    with pytest.raises(Broken, match="cannot handle 1"):
        store.dispatch(new("b-1", "Fragile"), new("a-1", "Fragile", data={"poison": 1}))
    assert notes() == []
    assert store.get_events_for_aggregate("b-1") == []


def test_savepoint_that_is_rolled_back_takes_the_lock_with_it(store: EventStore, inline_fragile: None) -> None:
    """The lock, and what is remembered of it, must end together: else a switch could come in between."""

    def locks() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND objsubid = 2 AND classid ="
                " 'projections_projectionstate'::regclass AND pid = pg_backend_pid()"
            )
            return int(cursor.fetchone()[0])

    with transaction.atomic():
        with pytest.raises(Broken), transaction.atomic():
            store.dispatch(new("a-1", "Fragile", data={"poison": 1}))
        assert locks() == 0
        store.dispatch(new("a-1", "Fragile"))
        assert locks() > 0
    assert notes() == [("a-1", 1)]


def test_batch_enters_once(store: EventStore, inline_fragile: None, django_assert_num_queries: Any) -> None:
    registration.ensure_registered(instance(Fragile))
    # BEGIN, append, one entry for all INLINE projections, the rows of both, COMMIT.
    with django_assert_num_queries(4 + 10 + 10):
        store.dispatch(*[new("a-1", "Fragile") for _ in range(10)])


def test_other_types_cost_nothing(store: EventStore, no_subscriber: None, django_assert_num_queries: Any) -> None:
    inline.subscribe(instance(Fragile))
    with django_assert_num_queries(1):
        store.dispatch(new("a-1", "Other"))


def test_first_writers_register_it_together_and_lose_nothing(store: EventStore, inline_fragile: None) -> None:
    def write(seed: int) -> None:
        for _ in range(20):
            store.dispatch(new(f"a-{seed}", "Fragile"))

    raise_first(in_threads(*[lambda seed=seed: write(seed) for seed in range(6)]))
    assert ProjectionState.objects.get(name="fragile").status == "running"
    assert sorted(notes()) == [(f"a-{seed}", version) for seed in range(6) for version in range(1, 21)]


def test_added_later_it_is_built_first_and_then_live(store: EventStore, inline_fragile: None) -> None:
    store.unsubscribe("Fragile", inline.receiver(instance(Fragile)))
    store.dispatch(new("a-1", "Fragile"), new("a-2", "Other"))
    inline.subscribe(instance(Fragile))
    store.dispatch(new("a-1", "Fragile"))
    assert notes() == []
    found = status.report("fragile")
    assert (found.status, found.rows_version) == ("building", 1)
    assert Rebuild.objects.get(pk="fragile").in_place
    catch_up("fragile")
    store.dispatch(new("a-1", "Fragile"))
    assert notes() == [("a-1", 1), ("a-1", 2), ("a-1", 3)]


def test_added_from_now_on_it_leaves_history_out(
    store: EventStore, inline_fragile: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Fragile, "start", NOW)
    store.unsubscribe("Fragile", inline.receiver(instance(Fragile)))
    store.dispatch(new("a-1", "Fragile"))
    registration.ensure_registered(instance(Fragile))
    inline.subscribe(instance(Fragile))
    store.dispatch(new("a-1", "Fragile"))
    assert notes() == [("a-1", 2)]


def test_new_code_leaves_rows_of_the_old_version_alone_and_says_so_once(
    store: EventStore, inline_fragile: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    store.dispatch(new("a-1", "Fragile"))
    monkeypatch.setattr(Fragile, "version", 2)
    inline._warn.cache_clear()
    store.dispatch(new("a-1", "Fragile"))
    store.dispatch(new("a-1", "Fragile"))
    assert notes() == [("a-1", 1)]
    assert [record.getMessage() for record in caplog.records if "not live" in record.getMessage()] == [
        "projection=fragile is not live and misses events; run: manage.py rebuild_projection fragile"
    ]
    assert "another version" in status.report("fragile").problem()


def test_orders_of_the_demo_are_right_at_once_and_never_refuse(store: EventStore) -> None:
    store.dispatch(new("order-1", "OrderPlaced", data={"customer": "c-1", "total": 84.5}), new("order-1", "OrderPaid"))
    order = Order.objects.get()
    assert (order.customer, order.status, str(order.total)) == ("c-1", "paid", "84.50")
    for total in ("much", None, [], "NaN", 1e300, {"a": 1}):
        store.dispatch(new("order-1", "OrderPlaced", data={"total": total}))


# Where projections begin


def test_async_projection_added_later_starts_from_the_first_event_or_from_now(
    store: EventStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.dispatch(new("a-1", "Counted"), new("a-1", "Fragile"))
    ProjectionState.objects.filter(name__in=["tally", "fragile"]).delete()
    monkeypatch.setattr(Fragile, "start", NOW)
    catch_up("tally", "fragile")
    assert (tally()["all"], notes()) == (1, [])
    store.dispatch(new("a-1", "Fragile"))
    catch_up("fragile")
    assert notes() == [("a-1", 3)]
    assert not FragileNote.objects.filter(version=2).exists()


def test_selective_projection_moves_past_other_events(store: EventStore) -> None:
    store.dispatch(*[new("a-1", "Other") for _ in range(2000)], new("a-1", "Counted"), *[new("a-1", "Other")] * 1)
    catch_up("tally")
    found = status.report("tally")
    assert found.position == store.settled_position()
    assert found.lag_events == 0
    assert Total.objects.get(key="all").count == 1
    assert instance(Tally).wanted_types() == ["Counted"]
