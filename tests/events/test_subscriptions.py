"""Handlers and signals: what they see, when they run, and what their failures do."""

import logging
from typing import Any

import pytest
from django.db import transaction
from django.dispatch import Signal
from django.utils.connection import ConnectionDoesNotExist

from events import subscriptions
from events.exceptions import DispatchTooDeep, InvalidEvent
from events.models import Event
from events.signals import event_committed, event_dispatched
from events.store import EventStore
from events.types import ALL
from tests.support import aggregates, new, some, stored

pytestmark = pytest.mark.django_db(transaction=True)


class Recorder:
    """A handler that remembers what it was called with."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def __call__(self, event: Event, **kwargs: Any) -> None:
        self.events.append(event)

    def method(self, event: Event, **kwargs: Any) -> None:
        self.events.append(event)


@pytest.mark.parametrize("on_commit", [False, True])
def test_handler_sees_its_type_only_and_all_sees_everything(store: EventStore, on_commit: bool) -> None:
    placed, everything = Recorder(), Recorder()
    store.subscribe("".join(["Order", "Placed"]), placed, on_commit=on_commit)
    store.subscribe(ALL, everything, on_commit=on_commit)
    events = store.dispatch(new(type="OrderPlaced"), new(type="OrderPaid"), new("b-1", "Order" + "Placed"))
    assert placed.events == [events[0], events[2]]
    assert everything.events == events
    assert all(event.version and event.position for event in everything.events)


def test_handler_inside_the_transaction_runs_before_commit_and_the_other_after(store: EventStore) -> None:
    seen = []

    def handler(moment: str) -> Any:
        def handle(event: Event, using: str, **kwargs: Any) -> None:
            seen.append((moment, transaction.get_connection(using).in_atomic_block, event.data))

        return handle

    store.subscribe("Happened", handler("inside"))
    store.subscribe("Happened", handler("after"), on_commit=True)
    store.dispatch(*some(2))
    assert seen == [
        ("inside", True, {"n": 1}),
        ("inside", True, {"n": 2}),
        ("after", False, {"n": 1}),
        ("after", False, {"n": 2}),
    ]


@pytest.mark.parametrize("inside_atomic", [False, True])
def test_failing_handler_inside_the_transaction_undoes_the_dispatch(store: EventStore, inside_atomic: bool) -> None:
    after = Recorder()

    def fail(event: Event, **kwargs: Any) -> None:
        if event.data["n"] == 3:
            raise LookupError("handler")

    store.subscribe("Happened", fail)
    store.subscribe("Happened", after, on_commit=True)
    if inside_atomic:
        with transaction.atomic():
            with pytest.raises(LookupError, match="handler"):
                store.dispatch(*some(5))
            (kept,) = store.dispatch(new(data={"n": 0}))
        assert after.events == [kept]
    else:
        with pytest.raises(LookupError, match="handler"):
            store.dispatch(*some(5))
        assert (stored(), aggregates(), after.events) == ([], {}, [])


def test_failing_handler_after_commit_is_logged_and_stops_nobody(
    store: EventStore, caplog: pytest.LogCaptureFixture
) -> None:
    before, after = Recorder(), Recorder()

    def fail(**kwargs: Any) -> None:
        raise LookupError("handler")

    for handler in (before, fail, after):
        store.subscribe("Happened", handler, on_commit=True)
    with caplog.at_level(logging.ERROR):
        events = store.dispatch(*some(2))
    assert before.events == after.events == events
    assert len(stored()) == 2
    failures = [record for record in caplog.records if record.name == "django.dispatch"]
    assert len(failures) == 2
    assert "LookupError" in (failures[0].exc_text or "") or "handler" in failures[0].getMessage()


@pytest.mark.parametrize("event_type", ["Happened", ALL])
@pytest.mark.parametrize("on_commit", [False, True])
def test_subscribing_twice_delivers_once_and_unsubscribing_ends_it(
    store: EventStore, event_type: Any, on_commit: bool
) -> None:
    handler = Recorder()
    store.subscribe(event_type, handler, on_commit=on_commit)
    store.subscribe(event_type, handler, on_commit=on_commit)
    store.dispatch(new())
    assert len(handler.events) == 1
    assert store.unsubscribe(event_type, handler) is True
    assert store.unsubscribe(event_type, handler) is False
    store.dispatch(new())
    assert len(handler.events) == 1


@pytest.mark.parametrize("event_type", ["Unheard", ALL])
def test_unsubscribing_a_stranger_is_false(store: EventStore, event_type: Any) -> None:
    assert store.unsubscribe(event_type, lambda **kwargs: None) is False


def test_lambdas_methods_and_closures_stay_subscribed(store: EventStore) -> None:
    import gc

    lambdas: list[Event] = []
    recorder = Recorder()
    store.subscribe("Happened", lambda event, **kwargs: lambdas.append(event))
    store.subscribe("Happened", recorder.method)
    store.subscribe("Happened", recorder.method)  # another object, equal to the first
    gc.collect()
    store.dispatch(new())
    assert (len(lambdas), len(recorder.events)) == (1, 1)
    assert store.unsubscribe("Happened", recorder.method) is True
    store.dispatch(new())
    assert (len(lambdas), len(recorder.events)) == (2, 1)


def test_subscription_can_be_called_or_left_to_end_it(store: EventStore) -> None:
    handler = Recorder()
    unsubscribe = store.subscribe("Happened", handler)
    store.dispatch(new())
    assert unsubscribe() is True
    assert unsubscribe() is False
    with store.subscribe("Happened", handler):
        store.dispatch(new())
    store.dispatch(new())
    assert len(handler.events) == 2


def test_leaving_a_subscription_ends_only_what_it_began(store: EventStore) -> None:
    handler = Recorder()
    store.subscribe("Happened", handler)
    with store.subscribe("Happened", handler):
        store.dispatch(new())
    store.dispatch(new())
    assert len(handler.events) == 2


@pytest.mark.parametrize("on_commit", [False, True])
@pytest.mark.parametrize("event_type", ["Happened", ALL])
@pytest.mark.django_db(transaction=True, databases=["default", "primary"])
def test_subscription_belongs_to_the_database_of_its_store(
    store: EventStore, no_subscribers: None, event_type: Any, on_commit: bool, django_assert_num_queries: Any
) -> None:
    here, there, everywhere = Recorder(), Recorder(), Recorder()
    other = EventStore("primary")
    store.subscribe(event_type, here, on_commit=on_commit)
    other.subscribe(event_type, there, on_commit=on_commit)
    (event_committed if on_commit else event_dispatched).connect(everywhere)
    (first,), (second,) = store.dispatch(new()), other.dispatch(new())
    assert (here.events, there.events, everywhere.events) == ([first], [second], [first, second])
    assert not other.unsubscribe(event_type, here)
    assert EventStore("default").unsubscribe(event_type, here)
    assert event_committed.disconnect(everywhere) or event_dispatched.disconnect(everywhere)
    with django_assert_num_queries(1):  # a handler of another database opens no transaction
        store.dispatch(new())
    assert (here.events, there.events) == ([first], [second])


@pytest.mark.django_db(transaction=True, databases=["default", "primary"])
def test_participant_belongs_to_the_database_that_the_routers_name(store: EventStore, no_subscribers: None) -> None:
    participant = Recorder()
    subscriptions.add_participant(ALL, participant)
    EventStore("primary").dispatch(new())
    (event,) = store.dispatch(new())
    assert participant.events == [event]


def test_subscribing_to_a_database_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(ConnectionDoesNotExist, match="stor"):
        EventStore("stor").subscribe(ALL, Recorder())


def test_subscribe_decorates(store: EventStore) -> None:
    seen = []

    @store.subscribe("Happened")
    @store.subscribe("Ended", on_commit=True)
    def handler(event: Event, **kwargs: Any) -> None:
        seen.append(event.type)

    store.dispatch(new(type="Happened"), new(type="Ended"))
    assert callable(handler)
    assert seen == ["Happened", "Ended"]


@pytest.mark.parametrize(
    ("event_type", "handler"),
    [("", dict), (None, dict), (7, dict), ("A", "text"), ("A", lambda event: None)],
)
def test_subscribing_nonsense_is_rejected(store: EventStore, event_type: Any, handler: Any) -> None:
    with pytest.raises(InvalidEvent):
        store.subscribe(event_type, handler)


def test_handler_that_dispatches_joins_the_transaction_depth_first(store: EventStore) -> None:
    seen, committed = [], Recorder()

    def follow_up(event: Event, **kwargs: Any) -> None:
        seen.append((event.aggregate_id, event.version))
        if event.aggregate_id == "a-1":
            store.dispatch(new(f"b-{event.version}"))

    store.subscribe(ALL, follow_up)
    store.subscribe(ALL, committed, on_commit=True)
    store.dispatch(*some(2))
    assert seen == [("a-1", 1), ("b-1", 1), ("a-1", 2), ("b-2", 1)]
    assert stored() == [("a-1", 1), ("a-1", 2), ("b-1", 1), ("b-2", 1)]
    assert [event.position for event in committed.events] == sorted(event.position for event in committed.events)


@pytest.mark.parametrize("on_commit", [False, True])
def test_endless_recursion_ends_in_a_clear_error(
    store: EventStore, settings: Any, caplog: pytest.LogCaptureFixture, on_commit: bool
) -> None:
    settings.EVENTS_MAX_DISPATCH_DEPTH = 5
    store.subscribe("Happened", lambda event, **kwargs: store.dispatch(new()), on_commit=on_commit)
    if on_commit:
        store.dispatch(new())
        assert len(stored()) == 5
        assert "EVENTS_MAX_DISPATCH_DEPTH" in caplog.text
    else:
        with pytest.raises(DispatchTooDeep, match="EVENTS_MAX_DISPATCH_DEPTH"):
            store.dispatch(new())
        assert (stored(), aggregates()) == ([], {})
    store.unsubscribe("Happened", print)
    assert len(store.dispatch(new(type="Other"))) == 1


@pytest.mark.usefixtures("no_subscribers")
def test_dispatch_without_a_subscriber_is_one_statement(store: EventStore, django_assert_num_queries: Any) -> None:
    store.subscribe("Other", lambda **kwargs: None)
    with django_assert_num_queries(1):
        store.dispatch(*some(10))
    with transaction.atomic(), django_assert_num_queries(1):
        store.dispatch(new())


@pytest.mark.parametrize("event_type", [ALL, "Happened"])
def test_participant_gets_all_events_of_an_append_before_a_subscriber_appends_further_ones(
    store: EventStore, no_subscribers: None, event_type: Any
) -> None:
    participant = Recorder()

    def follow_up(event: Event, **kwargs: Any) -> None:
        if event.version == 1:
            store.dispatch(new())

    store.subscribe("Happened", follow_up)
    subscriptions.add_participant(event_type, participant)
    store.dispatch(new(), new())
    assert [event.version for event in participant.events] == [1, 2, 3]
    subscriptions.remove_participant(event_type, participant)
    store.dispatch(new())
    assert len(participant.events) == 3


def test_error_of_a_participant_undoes_the_append_before_a_subscriber_runs(
    store: EventStore, no_subscribers: None
) -> None:
    def fail(event: Event, **kwargs: Any) -> None:
        raise LookupError("participant")

    subscriber = Recorder()
    store.subscribe("Happened", subscriber)
    subscriptions.add_participant("Happened", fail)
    with pytest.raises(LookupError, match="participant"):
        store.dispatch(new())
    assert subscriber.events == stored() == []


def test_two_threads_may_remove_the_last_handlers_of_a_type(store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    def first(**kwargs: Any) -> None: ...
    def second(**kwargs: Any) -> None: ...

    store.subscribe("Raced", first)
    store.subscribe("Raced", second)
    disconnect = Signal.disconnect

    def then_the_other(signal: Signal, handler: Any) -> bool:
        done = disconnect(signal, handler)
        if handler is first:  # what another thread does at this moment
            assert store.unsubscribe("Raced", second)
        return done

    monkeypatch.setattr(Signal, "disconnect", then_the_other)
    assert store.unsubscribe("Raced", first)


def test_subscription_to_every_database_names_the_signals() -> None:
    with pytest.raises(InvalidEvent, match=r"using: is ALL; .*events\.signals"):
        EventStore(using=ALL).subscribe("Happened", print)  # type: ignore[arg-type]
