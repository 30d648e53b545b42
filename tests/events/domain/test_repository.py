"""Cases 8 to 13 of the domain toolkit: commands, conflicts and earlier states."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from asgiref.sync import async_to_sync
from django.db import connection, connections, transaction
from django.utils import timezone

from events.domain import ABSENT, Aggregate, DomainEvent, Repository, creates
from events.exceptions import (
    AggregateNotFound,
    InvalidEvent,
    UnreadableEvent,
    UnseenConflict,
    VersionConflict,
)
from events.store import EventStore
from events.types import NewEvent

from . import shop
from .shop import AlreadyPaid


@pytest.fixture
def orders_of() -> Any:
    return shop.define()


@pytest.fixture
def orders(orders_of: Any) -> Repository[Any]:
    return Repository(orders_of.Order)


@pytest.fixture
def placed(db: None, orders_of: Any, orders: Repository[Any]) -> Any:
    orders.handle("17", orders_of.Order.place, "ann", Decimal(5))
    return orders_of.Order


def versions(store: EventStore, aggregate_id: str = "order-17") -> list[int]:
    return [event.version for event in store.get_events_for_aggregate(aggregate_id)]


@pytest.mark.django_db
def test_command_is_appended_and_its_result_returned(
    orders_of: Any, orders: Repository[Any], store: EventStore
) -> None:
    assert orders.handle("17", orders_of.Order.place, "ann", total=Decimal("5.10")) == "placed 17"
    assert orders.handle("order-17", orders_of.Order.pay, "card") is None
    order = orders.get(17)
    assert (order.customer, order.total, order.paid) == ("ann", Decimal("5.10"), True)
    assert (order.id, order.aggregate_id, order.version, order.recorded) == ("17", "order-17", 2, [])
    assert [event.type for event in store.get_events_for_aggregate("order-17")] == ["OrderPlaced", "OrderPaid"]
    assert orders.exists("17")
    assert not orders.exists("18")


@pytest.mark.django_db
def test_ids_of_each_kind_are_taken_and_those_of_others_rejected(orders: Repository[Any]) -> None:
    class Wallet(Aggregate, category="wallet"):
        pass

    key = uuid4()
    for given, expected in (("17", "order-17"), ("order-17", "order-17"), (17, "order-17"), (key, f"order-{key}")):
        assert orders.aggregate_id(given) == expected
    assert orders.aggregate_id("2024-17") == "order-2024-17", "no category of an aggregate class"
    for wrong in ("wallet-ann", "", "order-", None, 1.5, True, b"17"):
        with pytest.raises(InvalidEvent, match="id: "):
            orders.get(wrong)  # type: ignore[arg-type]
    with pytest.raises(InvalidEvent, match="'wallet-ann' is of the category 'wallet'; this is a repository of 'order'"):
        orders.handle("wallet-ann", creates(lambda order: None))


def test_ids_are_listed_in_order(placed: Any, orders: Repository[Any], store: EventStore) -> None:
    for each in ("order-3", "order-17-a", "order", "orders-1", "ordep-1"):
        store.dispatch(NewEvent(each, "Noted"))
    assert list(orders.ids()) == ["17", "17-a", "3"]


def test_aggregate_without_events_is_not_found(placed: Any, orders: Repository[Any], store: EventStore) -> None:
    def in_a_block() -> None:
        with orders.change("18") as order:
            order.pay("card")

    for attempt in (
        lambda: orders.get("18"),
        lambda: orders.get("17", up_to_version=0),
        lambda: orders.get("17", as_of=timezone.now() - timezone.timedelta(days=1)),  # type: ignore[attr-defined]
        lambda: orders.handle("18", placed.pay, "card"),
        lambda: orders.diff("18", 0, 1),
        in_a_block,
    ):
        with pytest.raises(AggregateNotFound, match=r"there is no aggregate 'order-1[78]'"):
            attempt()
    assert versions(store, "order-18") == []
    with orders.change("18") as order:
        order.place("bob", Decimal(1))
        order.pay("card")
    assert versions(store, "order-18") == [1, 2]


def test_domain_error_is_never_retried_and_nothing_is_stored(
    placed: Any, orders: Repository[Any], store: EventStore
) -> None:
    calls = []

    def pay_twice(order: Any) -> None:
        calls.append(order.version)
        order.pay("card")
        order.pay("card")

    with pytest.raises(AlreadyPaid, match="order-17 is paid already"):
        orders.handle("17", pay_twice)
    assert calls == [1]
    with pytest.raises(AlreadyPaid), orders.change("17") as order:
        pay_twice(order)
    assert versions(store) == [1]


def test_nothing_recorded_appends_nothing(placed: Any, orders: Repository[Any], store: EventStore) -> None:
    assert orders.handle("17", lambda order: order.customer) == "ann"
    with orders.change("17"):
        pass
    with pytest.raises(ZeroDivisionError), orders.change("17") as order:
        order.pay("card")
        raise ZeroDivisionError
    assert versions(store) == [1]


def interfering(store: EventStore, times: int) -> Any:
    """Return a command before whose append another event comes, so many times."""
    calls = []

    def command(order: Any) -> int:
        calls.append(order.version)
        if len(calls) <= times:
            store.dispatch(NewEvent("order-17", "Noted"))
        order.pay("card")
        return len(calls)

    return command


def test_conflicts_are_retried_on_the_new_state(placed: Any, orders_of: Any, store: EventStore) -> None:
    assert Repository(orders_of.Order).handle("17", interfering(store, 5)) == 6
    assert versions(store) == [1, 2, 3, 4, 5, 6, 7]


def test_conflicts_beyond_the_retries_are_an_error(placed: Any, orders_of: Any, store: EventStore) -> None:
    with pytest.raises(VersionConflict, match="'order-17' was expected at version 3 but is at version 4"):
        Repository(orders_of.Order, retries=2).handle("17", interfering(store, 3))
    with pytest.raises(VersionConflict):
        Repository(orders_of.Order, retries=0).handle("17", interfering(store, 1))
    for wrong in (-1, 1.5, None, True):
        with pytest.raises(InvalidEvent, match="retries"):
            Repository(orders_of.Order, retries=wrong)  # type: ignore[arg-type]


def test_change_is_one_attempt_and_keeps_what_was_recorded(
    placed: Any, orders: Repository[Any], store: EventStore
) -> None:
    with pytest.raises(VersionConflict), orders.change("17") as order:
        store.dispatch(NewEvent("order-17", "Noted"))
        order.pay("card")
    assert [payload.method for payload in order.recorded] == ["card"]
    assert order.version == 1


@pytest.fixture
def threads() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


@pytest.mark.django_db(transaction=True)
def test_threads_that_handle_one_aggregate_all_succeed(
    orders_of: Any, threads: ThreadPoolExecutor, store: EventStore
) -> None:
    class Noted(DomainEvent):
        number: int

    class Notebook(Aggregate, category="notebook"):
        @creates
        def note(self) -> None:
            begin.wait() if self.version == 0 else None
            self.record(Noted(number=self.version + 1))

    begin = Barrier(4, timeout=20)
    notebooks = Repository(Notebook, retries=20)

    def work(_: int) -> None:
        try:
            notebooks.handle("1", Notebook.note)
        finally:
            connections.close_all()

    list(threads.map(work, range(4)))
    stored = store.get_events_for_aggregate("notebook-1")
    assert [event.payload.number for event in stored] == [event.version for event in stored] == [1, 2, 3, 4]


def interfering_from_another_connection(threads: ThreadPoolExecutor, times: int) -> Any:
    calls = []

    def append() -> None:
        EventStore().dispatch(NewEvent("order-17", "Noted"))
        connections.close_all()

    def command(order: Any) -> None:
        calls.append(order.version)
        if len(calls) <= times:
            threads.submit(append).result()
        order.pay("card")

    return command


@pytest.mark.django_db(transaction=True)
def test_in_a_transaction_that_reads_committed_the_command_is_retried(
    orders_of: Any, orders: Repository[Any], threads: ThreadPoolExecutor, store: EventStore
) -> None:
    orders.handle("17", orders_of.Order.place, "ann", Decimal(5))
    with transaction.atomic():
        orders.handle("17", interfering_from_another_connection(threads, 1))
        assert versions(store) == [1, 2, 3]
        with pytest.raises(VersionConflict):
            Repository(orders_of.Order, retries=0).handle(
                "17",
                lambda order: (
                    store.dispatch(NewEvent("order-17", "Noted")),
                    order.record(orders_of.OrderPaid(method="x")),
                ),
            )
        store.dispatch(NewEvent("order-18", "Noted"))  # the transaction is usable
    assert versions(store) == [1, 2, 3, 4]


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("level", ["REPEATABLE READ", "SERIALIZABLE"])
def test_transaction_with_an_older_snapshot_is_over_and_says_so(
    orders_of: Any, orders: Repository[Any], threads: ThreadPoolExecutor, store: EventStore, level: str
) -> None:
    orders.handle("17", orders_of.Order.place, "ann", Decimal(5))
    with pytest.raises(UnseenConflict, match=r"has changed 'order-17', .* It is over: run it again"):
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            orders.handle("17", interfering_from_another_connection(threads, 1))
    assert versions(store) == [1, 2]
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        with pytest.raises(UnseenConflict):
            orders.handle("17", interfering_from_another_connection(threads, 1))
        assert transaction.get_rollback()
    assert versions(store) == [1, 2, 3]


def test_earlier_states_are_folds_of_a_prefix(placed: Any, orders: Repository[Any]) -> None:
    between = timezone.now()
    orders.handle("17", placed.pay, "card")
    assert not orders.get("17", up_to_version=1).paid
    assert not orders.get("17", as_of=between).paid
    assert orders.get("17", up_to_version=99).paid
    assert [str(each) for each in orders.diff("17", 1, 2)] == ["paid: False -> True"]
    assert [(each.path, each.before, each.after) for each in orders.diff("17", 0, 1)] == [
        ("customer", "", "ann"),
        ("total", Decimal(0), Decimal(5)),
    ]
    assert ABSENT not in [each.before for each in orders.diff("17", 0, 2)]
    for wrong in (-1, "1", 1.5):
        with pytest.raises(InvalidEvent, match="up_to_version"):
            orders.get("17", up_to_version=wrong)  # type: ignore[arg-type]


def test_state_that_a_command_sets_is_gone_at_the_next_load(placed: Any, orders: Repository[Any]) -> None:
    orders.handle("17", lambda order: setattr(order, "paid", True))
    assert not orders.get("17").paid


def test_history_of_more_than_a_page_is_loaded(placed: Any, orders: Repository[Any], store: EventStore) -> None:
    store.dispatch(*[NewEvent("order-17", "Noted") for _ in range(2001)])
    assert orders.get("17").version == 2002
    assert orders.get("17", up_to_version=1500).version == 1500


def test_event_that_cannot_be_read_is_an_error(placed: Any, orders: Repository[Any], orders_of: Any) -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE events_event DISABLE TRIGGER USER")
        cursor.execute("UPDATE events_event SET data = '{\"total\": 5}' WHERE aggregate_id = 'order-17'")
        cursor.execute("ALTER TABLE events_event ENABLE TRIGGER USER")
    with pytest.raises(UnreadableEvent, match=r"OrderPlaced|customer: is missing"):
        orders.get("17")


def test_command_must_be_a_plain_function(placed: Any, orders: Repository[Any]) -> None:
    async def pay(order: Any) -> None:
        order.pay("card")

    def pay_later(order: Any) -> Iterator[None]:
        yield order.pay("card")

    for wrong in (pay, pay_later):
        with pytest.raises(TypeError, match="is a coroutine function or a generator"):
            orders.handle("17", wrong)
    assert orders.get("17").version == 1


def test_repository_needs_an_aggregate_class_with_a_category() -> None:
    class Base(Aggregate, abstract=True):
        pass

    for wrong in (int, "order", Aggregate, Base):
        with pytest.raises(TypeError, match=r"is not an aggregate class|is abstract"):
            Repository(wrong)  # type: ignore[type-var]


@pytest.mark.django_db
def test_coroutines_have_twins_of_all_methods(orders_of: Any, orders: Repository[Any]) -> None:
    async def work() -> None:
        assert await orders.ahandle("17", orders_of.Order.place, "ann", Decimal(5)) == "placed 17"
        async with orders.achange("17") as order:
            order.pay("card")
        assert (await orders.aget("17", up_to_version=2)).paid
        assert await orders.aexists("17")
        assert [each async for each in orders.aids()] == ["17"]
        assert [each.path for each in await orders.adiff("17", 1, 2)] == ["paid"]

    async_to_sync(work)()
