"""INLINE projections: part of the append, and of its transaction."""

from typing import Any

import pytest
from django.db import connection, transaction
from rest_framework.test import APIClient

from events.exceptions import Rejected
from events.models import Event
from events.store import EventStore
from projections.engine import inline, registration
from projections.operations import status
from tests.events.api.support import append, as_problem
from tests.projections.support import instance, notes
from tests.readmodels.projections import Broken, Fragile
from tests.shop.models import Order
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


def test_rows_are_right_inside_the_transaction_and_go_with_it(store: EventStore, inline_fragile: None) -> None:
    with transaction.atomic():
        store.dispatch(new("a-1", "Fragile"))
        assert notes() == [("a-1", 1)]
        transaction.set_rollback(True)
    assert notes() == []
    store.dispatch(new("a-1", "Fragile"))
    assert notes() == [("a-1", 1)]


def test_error_undoes_the_append_and_reaches_the_caller_unchanged(store: EventStore, inline_fragile: None) -> None:
    with pytest.raises(Broken, match="cannot handle 1"):
        store.dispatch(new("b-1", "Fragile"), new("a-1", "Fragile", data={"poison": 1}))
    assert notes() == []
    assert store.get_events_for_aggregate("b-1") == []


def test_projection_rejects_an_event(
    store: EventStore, inline_fragile: None, api: APIClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    def reject(self: Fragile, event: Event) -> None:
        raise Rejected("poisonous", code="poison")

    monkeypatch.setattr(Fragile, "check", reject)
    events = [{"type": "Fragile"}, {"type": "Fragile", "data": {"poison": 1}}]
    problem = as_problem(append(api, events), 409)
    assert (problem["detail"], problem["code"], problem["index"]) == ("poisonous", "poison", 1)
    assert notes() == []


def test_savepoint_that_is_rolled_back_takes_the_lock_with_it(store: EventStore, inline_fragile: None) -> None:
    """The lock, and what is remembered of it, must end together: else a swap could come in between."""

    def locks() -> int:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT count(*) FROM pg_locks WHERE relation = 'projections_inline_lock'::regclass"
                " AND mode = 'RowShareLock' AND pid = pg_backend_pid()"
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


def test_other_types_cost_no_query(store: EventStore, no_subscribers: None, django_assert_num_queries: Any) -> None:
    inline.subscribe(instance(Fragile))
    with django_assert_num_queries(1):
        store.dispatch(new("a-1", "Other"))


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


def test_orders_of_the_demo_are_right_at_once_and_reject_no_event(store: EventStore) -> None:
    store.dispatch(new("order-1", "OrderPlaced", data={"customer": "c-1", "total": 84.5}), new("order-1", "OrderPaid"))
    order = Order.objects.get()
    assert (order.customer, order.status, str(order.total)) == ("c-1", "paid", "84.50")
    for total in ("much", None, [], "NaN", 1e300, {"a": 1}):
        store.dispatch(new("order-1", "OrderPlaced", data={"total": total}))
