"""Connections as other projects have them: pooled, kept, without named cursors, of another isolation level."""

import asyncio
import json
from collections.abc import Awaitable, Iterator
from typing import Any

import pytest
from asgiref.sync import sync_to_async
from django.db import OperationalError, connection, connections, transaction
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, override_settings
from django.urls import path
from psycopg import IsolationLevel

import events.checks
import projections.checks
from events.exceptions import UnsafeRead, VersionConflict
from events.store import EventStore
from projections.exceptions import UnsafeTransaction
from tests.hosts.support import connected_by
from tests.shop.models import Order
from tests.support import aggregates, in_threads, new, open_append, raise_first, stored

pytestmark = pytest.mark.django_db(transaction=True)

KINDS: dict[str, dict[str, Any]] = {
    "pool": {"OPTIONS": {"pool": {"min_size": 1, "max_size": 4, "timeout": 20}}},
    "kept": {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True, "OPTIONS": {"prepare_threshold": 0}},
    "plain": {"DISABLE_SERVER_SIDE_CURSORS": True, "OPTIONS": {"server_side_binding": True}},
}
STRICTER = [IsolationLevel.REPEATABLE_READ, IsolationLevel.SERIALIZABLE]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> Iterator[str]:
    with connected_by(KINDS[request.param]):
        yield request.param


def test_threads_append_and_read(kind: str) -> None:
    store = EventStore()

    def work(number: int) -> None:
        for turn in range(5):
            store.dispatch(new(f"a-{number}"), expected_version=2 * turn)
            with transaction.atomic():
                store.dispatch(new("shared"), new(f"a-{number}"))
            with pytest.raises(VersionConflict):
                store.dispatch(new(f"a-{number}"), expected_version=0)
        assert len(store.get_events_for_aggregate(f"a-{number}")) == 10

    raise_first(in_threads(*[lambda number=number: work(number) for number in range(8)]))
    assert aggregates() == {f"a-{number}": 10 for number in range(8)} | {"shared": 40}
    assert [(event.aggregate_id, event.version) for event in store.read_all()] == stored()
    assert sum(page.count(b"\n") for page in store.export()) == 120


async def append(request: HttpRequest) -> HttpResponse:
    body = json.loads(request.body)
    store = EventStore()
    try:
        events = await store.adispatch(new(body["id"]), new("shared"), expected_version={body["id"]: body["version"]})
    except VersionConflict as conflict:
        return JsonResponse({"actual": conflict.actual}, status=409)
    history = await store.aget_events_for_aggregate(body["id"])
    seen = [event.position async for event in store.aread_all(after=events[0].position - 1)]
    settled = await store.asettled_position()
    return JsonResponse({"versions": [event.version for event in history], "seen": len(seen), "settled": settled})


urlpatterns = [path("append/", append)]


def test_asynchronous_views_append_and_read(kind: str) -> None:
    """As ASGI calls them: many at once on one event loop."""

    async def use() -> list[HttpResponse]:
        client = AsyncClient()

        def post(number: int, version: int) -> Awaitable[HttpResponse]:
            content: Any = {"id": f"a-{number}", "version": version}
            return client.post("/append/", content, content_type="application/json")

        answers = await asyncio.gather(*[post(number, 0) for number in range(10)])
        answers += await asyncio.gather(*[post(number, 0) for number in range(10)])
        await sync_to_async(connections.close_all)()
        return answers

    with override_settings(ROOT_URLCONF=__name__):
        answers = asyncio.run(use())
    assert [answer.status_code for answer in answers] == [200] * 10 + [409] * 10
    assert all(answer.json()["versions"] == [1] for answer in answers[:10])  # type: ignore[attr-defined]
    assert aggregates() == {f"a-{number}": 1 for number in range(10)} | {"shared": 10}


def test_open_append_holds_readers_on_pooled_connections_until_it_ends() -> None:
    """The mark of an append goes with its transaction, not with its connection, which lives on in the pool."""
    with connected_by(KINDS["pool"]):
        store = EventStore()
        with open_append(store, new("held")):
            (after,) = store.dispatch(new("after"))
            assert list(store.read_all()) == []
        assert store.settled_position() >= after.position
        assert stored() == [("held", 1), ("after", 1)]
        assert [event.aggregate_id for event in store.read_all()] == ["held", "after"]


@pytest.fixture(params=STRICTER, ids=lambda level: level.name)
def stricter(request: pytest.FixtureRequest) -> Iterator[None]:
    """Transactions see the database as it was when they began."""
    with connected_by({"OPTIONS": {"isolation_level": request.param}}):
        yield


@pytest.mark.usefixtures("stricter", "no_subscribers")
def test_stricter_transactions_append_and_do_not_read_the_whole_store(store: EventStore) -> None:
    (first,) = store.dispatch(new("a-1"), expected_version=0)
    with transaction.atomic():
        with pytest.raises(VersionConflict):
            store.dispatch(new("a-1"), expected_version=7)
        store.dispatch(new("a-1"), new("b-1"), expected_version={"a-1": 1})
        with pytest.raises(UnsafeRead, match="Read it in READ COMMITTED, or outside"), transaction.atomic():
            list(store.read_all())
    assert store.dispatch(first_again := new("a-1"))[0] == store.dispatch(first_again)[0]
    assert [event.aggregate_id for event in store.read_all(after=first.position)] == ["a-1", "b-1", "a-1"]


@pytest.mark.usefixtures("stricter", "no_subscribers")
def test_append_that_came_in_between_ends_a_stricter_transaction_and_nothing_is_half_stored(store: EventStore) -> None:
    with pytest.raises(OperationalError, match="could not serialize access"), transaction.atomic():
        assert store.get_events_for_aggregate("a-1") == []
        raise_first(in_threads(lambda: store.dispatch(new("a-1"))))
        store.dispatch(new("b-1"), new("a-1"))
    assert stored() == [("a-1", 1)]
    assert [event.aggregate_id for event in store.read_all()] == ["a-1"]


@pytest.mark.usefixtures("stricter", "no_subscribers")
def test_reader_waits_for_appends_of_stricter_transactions_too(store: EventStore) -> None:
    with open_append(store, new("held")):
        store.dispatch(new("after"))
        assert list(store.read_all()) == []
    assert [event.aggregate_id for event in store.read_all()] == ["held", "after"]


@pytest.mark.usefixtures("stricter")
def test_inline_projection_rejects_an_older_snapshot(store: EventStore) -> None:
    """It could take itself for what it was before a rebuild, and let the event pass by its rows."""
    order = new("order-1", "OrderPlaced", data={"total": 5})
    with pytest.raises(UnsafeTransaction, match=r"in a (REPEATABLE READ|SERIALIZABLE) transaction"):
        store.dispatch(order)
    assert stored() == []
    with transaction.atomic():
        with connection.cursor() as cursor:
            cursor.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        store.dispatch(order)
    assert Order.objects.get().total == 5


@pytest.mark.parametrize("level", [*STRICTER, IsolationLevel.READ_COMMITTED, None])
def test_check_tells_of_stricter_transactions(level: IsolationLevel | None) -> None:
    with connected_by({"OPTIONS": {"isolation_level": level} if level else {}}):
        found = [*events.checks.check_isolation_level(), *projections.checks.check_isolation_level()]
    assert [message.id for message in found] == (["events.W007", "projections.E013"] if level in STRICTER else [])


def test_check_tells_of_an_isolation_level_that_does_not_exist() -> None:
    with connected_by({"OPTIONS": {"isolation_level": "read committed"}}):
        found = [*events.checks.check_isolation_level(), *projections.checks.check_isolation_level()]
    assert [message.id for message in found] == ["events.E004"]
    assert "is 'read committed'" in found[0].msg
