"""Changes of several aggregates in one transaction."""

from decimal import Decimal
from typing import Any

import pytest
from asgiref.sync import async_to_sync

from events.domain import Repository, achange_together, change_together
from events.exceptions import InvalidEvent, VersionConflict
from events.store import EventStore
from events.types import NewEvent

from . import shop

pytestmark = pytest.mark.django_db


@pytest.fixture
def orders() -> Repository[Any]:
    repository = Repository(shop.define().Order)
    for each in ("1", "2"):
        with repository.change(each) as order:
            order.place("ann", Decimal(5))
    return repository


def types(store: EventStore) -> list[tuple[str, str]]:
    return [(event.aggregate_id, event.type) for event in store.read_all()]


def test_events_of_all_are_appended_in_the_order_of_recording(orders: Repository[Any], store: EventStore) -> None:
    before = len(types(store))
    with change_together(orders["2"], orders["order-1"], orders[3]) as (second, first, third):
        first.pay("card")
        third.place("bob", Decimal(1))
        second.pay("cash")
        third.pay("cash")
    expected = [
        ("order-1", "OrderPaid"),
        ("order-3", "OrderPlaced"),
        ("order-2", "OrderPaid"),
        ("order-3", "OrderPaid"),
    ]
    assert types(store)[before:] == expected
    assert (first.version, second.version, third.version, third.recorded) == (2, 2, 2, [])


def test_nothing_is_stored_after_an_error_or_without_events(orders: Repository[Any], store: EventStore) -> None:
    before = types(store)
    with pytest.raises(shop.AlreadyPaid), change_together(orders["1"], orders["2"]) as (first, second):
        first.pay("card")
        second.pay("card")
        second.pay("card")
    with change_together(orders["1"], orders["2"]):
        pass
    assert types(store) == before


def test_conflict_of_one_is_one_of_all_also_if_it_was_only_read(orders: Repository[Any], store: EventStore) -> None:
    with pytest.raises(VersionConflict, match="'order-2' was expected at version 1 but is at version 2"):
        with change_together(orders["1"], orders["2"]) as (first, second):
            assert not second.paid
            first.pay("card")
            store.dispatch(NewEvent("order-2", "Noted"))
    assert ("order-1", "OrderPaid") not in types(store)


def test_aggregates_that_cannot_go_together_are_rejected(orders: Repository[Any]) -> None:
    other = Repository(orders.aggregate_class, using="other")
    for references, reason in (
        ((orders["1"], orders["order-1"]), "references: name 'order-1' twice"),
        ((orders["1"], other["2"]), "references: are in the databases 'default' and 'other'"),
        ((), "references: are missing"),
    ):
        with pytest.raises(InvalidEvent, match=reason):
            change_together(*references)


def test_coroutines_do_the_same(orders: Repository[Any], store: EventStore) -> None:
    async def work() -> None:
        async with achange_together(orders["1"], orders["2"]) as (first, second):
            first.pay("card")
            second.pay("card")

    async_to_sync(work)()
    assert types(store)[-2:] == [("order-1", "OrderPaid"), ("order-2", "OrderPaid")]
