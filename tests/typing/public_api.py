"""What a type checker makes of the public interface. Nothing here is run: `make lint` has mypy and pyright read it.

Every `type: ignore` is a mistake that must be found: one that is not needed is an error, too.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime
from typing import Any, assert_type
from uuid import UUID

from django.test import TestCase

from events.context import caused_by, current_context, event_context
from events.exceptions import DuplicateEvent, VersionConflict
from events.models import Event
from events.store import DispatchResult, EventStore
from events.subscriptions import Subscription
from events.testing import EagerEvents, eager_events, make_event, make_events, make_new_event
from events.types import ALL, ANY, EXISTS, NewEvent
from projections.base import ASYNC, Projection, handles
from projections.registry import register
from projections.testing import project, run_until_caught_up
from projections.waiting import await_for, wait_for

store = EventStore()
EventStore(using="other", read_from="standby")
EventStore("other", "standby")  # type: ignore[call-arg]


def dispatching(new: NewEvent) -> None:
    stored = store.dispatch(new, new, expected_version={"order-1": 3, "order-2": EXISTS, "order-3": ANY})
    assert_type(stored, DispatchResult)
    as_list: list[Event] = stored
    assert_type(stored[0], Event)
    assert_type(stored.is_retry, bool)
    for event in as_list:
        assert_type(event.position, int)
        assert_type(event.version, int)
        assert_type(event.aggregate_id, str)
        assert_type(event.event_id, UUID)
        assert_type(event.recorded_at, datetime)
    store.dispatch(new, expected_version=0)
    store.dispatch([new])  # type: ignore[arg-type]
    store.dispatch(new, expected_version="7")  # type: ignore[arg-type]
    store.dispatch(new, version=7)  # type: ignore[call-arg]


def new_events() -> None:
    NewEvent("order-1", "OrderPlaced", {"total": 5})
    NewEvent("order-1")  # type: ignore[call-overload]
    NewEvent("order-1", "OrderPlaced", "total")  # type: ignore[call-overload]


def reading() -> None:
    assert_type(store.get_events_for_aggregate("order-1", after_version=3, limit=5), list[Event])
    assert_type(store.read_all(after=7, types=["OrderPlaced"], categories={"order"}), Iterator[Event])
    assert_type(store.export(), Iterator[bytes])
    assert_type(store.settled_position(), int)
    store.read_all(7)  # type: ignore[call-overload]
    store.get_events_for_aggregate(7)  # type: ignore[arg-type]


async def from_coroutines(new: NewEvent) -> None:
    assert_type(await store.adispatch(new, expected_version=EXISTS), DispatchResult)
    assert_type(await store.aget_events_for_aggregate("order-1"), list[Event])
    assert_type(store.aread_all(after=7), AsyncIterator[Event])
    async for event in store.aread_all():
        assert_type(event, Event)
    assert_type(await store.asettled_position(), int)
    assert_type(await await_for("orders", 7), int)
    store.aread_all(before=7)  # type: ignore[call-overload]


def subscribing() -> None:
    def plain(event: Event, **kwargs: Any) -> str:
        return event.type

    @store.subscribe("OrderPaid", on_commit=True)
    def decorated(event: Event, *, using: str = "default", **kwargs: Any) -> int:
        return event.version

    assert_type(decorated(Event(), using="other"), int)
    assert_type(store.subscribe(ALL, plain), Subscription)
    with store.subscribe("OrderPaid", plain) as subscription:
        assert_type(subscription(), bool)
    assert_type(store.unsubscribe("OrderPaid", plain), bool)
    as_it_was: Callable[..., str] = store.subscribe(ALL)(plain)
    decorated("event")  # type: ignore[arg-type]
    store.subscribe(7, plain)  # type: ignore[call-overload]
    as_it_was(Event())


def in_contexts(event: Event) -> None:
    with event_context(correlation_id="import-7", user=lambda: 5, causation_id=event.event_id), caused_by(event):
        assert_type(current_context(), dict[str, str])
    event_context("import-7")  # type: ignore[call-arg]
    event_context(correlation_id=7)  # type: ignore[arg-type]
    caused_by(event.event_id)  # type: ignore[arg-type]


def errors(conflict: VersionConflict, duplicate: DuplicateEvent) -> None:
    assert_type(conflict.conflicts[0].aggregate_id, str)
    assert_type(conflict.actual, int)
    assert_type(duplicate.event_id, UUID | None)


@register
class Orders(Projection):
    name = "orders"
    mode = ASYNC

    @handles("OrderPlaced", "OrderPaid")
    def count(self, event: Event) -> None:
        assert_type(event, Event)


def projecting(new: NewEvent) -> None:
    assert_type(Orders(), Orders)
    assert_type(project(Orders, new), list[Event])
    assert_type(run_until_caught_up("orders"), int)
    assert_type(wait_for("orders", 7, timeout_seconds=0.5), int)
    project(Event, new)  # type: ignore[arg-type]
    wait_for(Orders, 7)  # type: ignore[arg-type]


def testing(new: NewEvent) -> None:
    assert_type(make_new_event("order-1", metadata={"user": "ann"}), NewEvent)
    assert_type(make_event(data={"total": 5}, version=3), Event)
    assert_type(make_events(new, make_new_event(), after_position=7), list[Event])
    with eager_events():
        store.dispatch(new)
    make_event(datum={})  # type: ignore[call-overload]
    make_event(event_id="7")  # type: ignore[call-overload]
    make_events([new])  # type: ignore[arg-type]


class OrderTests(EagerEvents, TestCase):
    def test_orders(self) -> None:
        store.dispatch(make_new_event())
