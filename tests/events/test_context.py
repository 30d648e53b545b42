"""Contexts: which metadata an event gets, what handlers pass on, and who never sees the context of another."""

import asyncio
import contextvars
from collections.abc import Callable, Iterator
from io import BytesIO
from types import MappingProxyType, SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.models import AnonymousUser, User
from django.db import transaction

from events import subscriptions
from events.context import activated, captured, caused_by, current_context, event_context
from events.exceptions import InvalidEvent
from events.formats.files import read_json_lines
from events.formats.importing import Importer
from events.models import Event
from events.store import EventStore
from tests.support import Background, in_threads, new, raise_first, stored

pytestmark = pytest.mark.django_db

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ID = UUID("01a216a6-13c3-7642-a0f6-89662d939e09")


def metadata_of(store: EventStore, **fields: Any) -> dict[str, Any]:
    (event,) = store.dispatch(new(**fields))
    metadata: dict[str, Any] = event.metadata
    return metadata


def test_values_are_metadata_of_every_event_of_the_block(store: EventStore) -> None:
    with event_context(correlation_id="import-7", causation_id=ID, user=User(pk=5), traceparent=TRACE):
        events = store.dispatch(new(), new("b-1", metadata={"line": 3}))
    every = {"correlation_id": "import-7", "causation_id": str(ID), "user": "5", "traceparent": TRACE}
    assert [event.metadata for event in events] == [every, {"line": 3} | every]
    assert [event.metadata for event in store.read_all()] == [every, {"line": 3} | every]
    assert metadata_of(store) == current_context() == {}


def test_inner_block_wins_and_inherits_and_an_event_wins_over_both(store: EventStore) -> None:
    with event_context(correlation_id="outer", user="5"):
        with event_context(correlation_id="inner", traceparent=TRACE):
            assert metadata_of(store) == {"correlation_id": "inner", "user": "5", "traceparent": TRACE}
            with event_context(user=AnonymousUser()):
                assert metadata_of(store) == {"correlation_id": "inner", "traceparent": TRACE}
        with pytest.raises(LookupError), event_context(user="6"):
            raise LookupError
        own = {"correlation_id": None, "user": "somebody"}
        assert metadata_of(store, metadata=own) == own
        assert metadata_of(store) == {"correlation_id": "outer", "user": "5"}
        assert metadata_of(store, metadata=MappingProxyType({"x": 1})) == current_context() | {"x": 1}


@pytest.mark.parametrize(
    ("user", "expected"),
    [(User(pk=5), "5"), (5, "5"), (ID, str(ID)), ("5", "5"), (AnonymousUser(), None), (SimpleNamespace(pk="a"), "a")],
)
def test_user_is_stored_as_the_text_of_the_primary_key(store: EventStore, user: Any, expected: str | None) -> None:
    for given in (user, lambda: user):
        with event_context(user=given):
            assert metadata_of(store) == ({} if expected is None else {"user": expected})


@pytest.mark.parametrize(
    ("field", "value", "reason"),
    [
        ("correlation_id", "", "is empty; give 1 to 255 characters"),
        ("correlation_id", "x" * 256, "has 256 characters; at most 255 are allowed"),
        ("correlation_id", "a\nb", "U\\+000A at index 1"),
        ("correlation_id", 7, "is a int; it must be a string"),
        ("causation_id", 7, "is a int"),
        ("causation_id", "x\0", "U\\+0000"),
        ("user", {"id": 5}, "is a dict; give a user, its primary key, or a function"),
        ("user", True, "is a bool; give a user, its primary key"),
        ("user", "x" * 256, "256 characters"),
        ("user", lambda: 1.5, "is a float"),
        ("traceparent", "01", "is '01'; give one of W3C Trace Context"),
        ("traceparent", 7, "is 7; give one"),
        ("traceparent", TRACE + "-more", "give one"),
        ("traceparent", TRACE.upper(), "give one"),
        ("traceparent", "00-" + "0" * 32 + TRACE[35:], "give one"),
        ("traceparent", TRACE[:36] + "0" * 16 + "-01", "give one"),
        ("traceparent", "ff" + TRACE[2:], "give one"),
        ("traceparent", "01" + TRACE[2:] + "-" + "x" * 200, "give one"),
    ],
)
def test_bad_value_is_named_and_nothing_is_stored(store: EventStore, field: str, value: Any, reason: str) -> None:
    with pytest.raises(InvalidEvent, match=reason) as raised, event_context(**{field: value}):
        store.dispatch(new())
    assert raised.value.field == field
    assert stored() == []


@pytest.mark.parametrize("trace", ["01" + TRACE[2:], "01" + TRACE[2:] + "-more", "01" + TRACE[2:] + "-" + "x" * 199])
def test_traces_of_later_versions_are_taken(store: EventStore, trace: str) -> None:
    with event_context(traceparent=trace):
        assert metadata_of(store) == {"traceparent": trace}


def test_function_for_the_user_is_called_at_each_dispatch_and_may_dispatch(store: EventStore) -> None:
    users = iter(["5", None, "6"])

    def user() -> str | None:
        store.dispatch(new("seen-1"))
        return next(users)

    with event_context(correlation_id="c", user=user):
        seen = [metadata_of(store).get("user") for _ in range(3)]
    assert seen == ["5", None, "6"]
    assert {str(event.metadata) for event in store.get_events_for_aggregate("seen-1")} == {"{'correlation_id': 'c'}"}


def test_too_large_with_the_context_is_rejected(store: EventStore, settings: Any) -> None:
    settings.EVENTS_MAX_EVENT_BYTES = 100
    event = new(data={"text": "x" * 80})
    with pytest.raises(InvalidEvent, match="with its metadata"), event_context(correlation_id="c" * 20):
        store.dispatch(event)
    assert stored() == []
    store.dispatch(event)


def test_retry_in_another_context_returns_what_was_stored(store: EventStore) -> None:
    event = new(data={"n": 1})
    with event_context(correlation_id="first", user="5"):
        (first,) = store.dispatch(event)
    with event_context(correlation_id="second", user="6", traceparent=TRACE):
        again = store.dispatch(event)
    assert (again.is_retry, again[0].metadata) == (True, first.metadata)
    assert stored() == [("a-1", 1)]


def test_import_keeps_the_metadata_of_its_lines(store: EventStore) -> None:
    lines = b'{"aggregate_id": "a-1", "type": "A"}\n{"aggregate_id": "a-2", "type": "A", "metadata": {"user": "9"}}\n'
    with event_context(correlation_id="c", user="5"):
        for _ in Importer(store).run(read_json_lines(BytesIO(lines))):
            pass
    assert [event.metadata for event in store.read_all()] == [{}, {"user": "9"}]


# Handlers


def follow(store: EventStore) -> Callable[..., None]:
    """Return a handler that dispatches the next letter after the type of an event, up to C."""

    def handler(event: Event, **kwargs: Any) -> None:
        if event.type < "C":
            store.dispatch(new("follow-1", chr(ord(event.type) + 1)))

    return handler


KINDS = ["in transaction", "on commit", "participant"]


def subscribe(store: EventStore, kind: str) -> None:
    for event_type in "AB":
        if kind == "participant":
            subscriptions.add_participant(event_type, follow(store))
        else:
            store.subscribe(event_type, follow(store), on_commit=kind == "on commit")


@pytest.mark.parametrize("kind", KINDS)
def test_events_of_handlers_inherit_the_flow_and_name_their_cause(
    store: EventStore, kind: str, django_capture_on_commit_callbacks: Any
) -> None:
    subscribe(store, kind)
    with django_capture_on_commit_callbacks(execute=True), event_context(correlation_id="flow", user="5"):
        (first,) = store.dispatch(new(type="A", metadata={"causation_id": "letter-9"}))
    second, third = store.get_events_for_aggregate("follow-1")
    common = {"correlation_id": "flow", "user": "5"}
    assert first.metadata == common | {"causation_id": "letter-9"}
    assert second.metadata == common | {"causation_id": str(first.event_id)}
    assert third.metadata == common | {"causation_id": str(second.event_id)}
    assert captured() is None


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("own", "flow"), [("own", "own"), (7, "7"), (["x"], None), ("a\nb", None), ("", None), (None, "off")]
)
def test_without_a_context_only_events_with_a_correlation_id_pass_it_on(
    store: EventStore, kind: str, own: Any, flow: str | None, django_capture_on_commit_callbacks: Any
) -> None:
    subscribe(store, kind)
    with django_capture_on_commit_callbacks(execute=True):
        (first,) = store.dispatch(new(type="A", metadata={} if own is None else {"correlation_id": own}))
    second, third = store.get_events_for_aggregate("follow-1")
    if flow == "off":
        assert second.metadata == third.metadata == {}
        return
    flow = flow or str(first.event_id)  # the first event of a flow
    assert second.metadata == {"correlation_id": flow, "causation_id": str(first.event_id)}
    assert third.metadata == {"correlation_id": flow, "causation_id": str(second.event_id)}


def test_own_correlation_id_of_an_event_is_that_of_what_follows(store: EventStore) -> None:
    subscribe(store, "in transaction")
    with event_context(correlation_id="request"):
        store.dispatch(new(type="A", metadata={"correlation_id": "own"}))
        with event_context(correlation_id="of a handler"):
            assert metadata_of(store)["correlation_id"] == "of a handler"
    assert [each.metadata["correlation_id"] for each in store.get_events_for_aggregate("follow-1")] == ["own", "own"]


def test_flow_without_a_correlation_id_gets_the_id_of_its_first_event(store: EventStore) -> None:
    subscribe(store, "in transaction")
    with event_context(user="5"):
        (first,) = store.dispatch(new(type="A"))
    for event in store.get_events_for_aggregate("follow-1"):
        assert event.metadata["correlation_id"] == str(first.event_id)
    assert first.metadata == {"user": "5"}


@pytest.mark.django_db(transaction=True)
def test_handlers_on_commit_have_the_context_of_the_dispatch_not_of_the_commit(store: EventStore) -> None:
    subscribe(store, "on commit")
    with event_context(correlation_id="of the commit", user="9"), transaction.atomic():
        with event_context(correlation_id="of the dispatch", user="5"):
            store.dispatch(new(type="B"))
    with event_context(user="9"), transaction.atomic(), activated(None):
        store.dispatch(new(type="B"))
    first, second = store.get_events_for_aggregate("follow-1")
    assert (first.metadata["correlation_id"], first.metadata["user"]) == ("of the dispatch", "5")
    assert second.metadata == {}


def test_failing_handler_leaves_the_context(store: EventStore) -> None:
    def fail(**kwargs: Any) -> None:
        raise LookupError

    store.subscribe("A", fail)
    with event_context(correlation_id="c"):
        with pytest.raises(LookupError):
            store.dispatch(new(type="A"))
        assert current_context() == {"correlation_id": "c"}


def test_other_consumers_name_the_cause_themselves(store: EventStore) -> None:
    (first,) = store.dispatch(new(metadata={"correlation_id": "c", "user": "5"}))
    for event in store.read_all():
        with caused_by(event):
            (second,) = store.dispatch(new("b-1"))
    assert second.metadata == {"correlation_id": "c", "causation_id": str(first.event_id)}


def test_unreadable_event_can_be_a_cause(store: EventStore) -> None:
    with caused_by(Event(event_id=ID, metadata=None)):
        assert metadata_of(store) == dict.fromkeys(("correlation_id", "causation_id"), str(ID))


# Threads and tasks


@pytest.mark.django_db(transaction=True)
def test_thread_has_a_context_only_if_it_copies_one(store: EventStore) -> None:
    with event_context(correlation_id="c"):
        with Background(lambda: metadata_of(store)) as without:
            pass
        copy = contextvars.copy_context()
        with Background(lambda: copy.run(metadata_of, store)) as with_copy:
            pass
    assert (without.result, with_copy.result) == ({}, {"correlation_id": "c"})


@pytest.mark.django_db(transaction=True)
def test_threads_at_the_same_time_have_contexts_of_their_own(store: EventStore) -> None:
    def work(name: str) -> None:
        for _ in range(20):
            with event_context(correlation_id=name):
                assert metadata_of(store, aggregate_id=name) == {"correlation_id": name}

    raise_first(in_threads(*[lambda name=name: work(name) for name in ("a-1", "b-1", "c-1")]))
    assert len(stored()) == 60


def test_tasks_at_the_same_time_have_contexts_of_their_own(store: EventStore) -> None:
    async def work(name: str, all_inside: asyncio.Barrier) -> dict[str, Any]:
        with event_context(correlation_id=name):
            await all_inside.wait()
            (event,) = await store.adispatch(new(name))
            await all_inside.wait()
            return {**event.metadata, "after": current_context()}

    async def run() -> list[dict[str, Any]]:
        barrier = asyncio.Barrier(3)
        return await asyncio.gather(*[work(name, barrier) for name in ("a-1", "b-1", "c-1")])

    seen = async_to_sync(run)()
    assert seen == [{"correlation_id": n, "after": {"correlation_id": n}} for n in ("a-1", "b-1", "c-1")]
    assert captured() is None


def test_generator_may_end_in_another_context_than_it_began_in() -> None:
    def body() -> Iterator[dict[str, str]]:
        with event_context(correlation_id="c"):
            yield current_context()
            yield current_context()

    rows = body()
    assert contextvars.copy_context().run(next, rows) == {"correlation_id": "c"}
    assert contextvars.copy_context().run(list, rows) == [{}]
