"""What aggregates have recorded is appended once, and only if it rests on a right state."""

from decimal import Decimal
from typing import Any

import pytest
from django.db import connection, transaction

from events.domain import Aggregate, DomainEvent, Repository, applies, creates
from events.domain.appending import append_recorded, sees_other_commits
from events.exceptions import InvalidEvent
from events.store import EventStore

from . import shop


@pytest.mark.django_db
def test_recorded_events_are_appended_once(store: EventStore) -> None:
    order = shop.define().Order.blank("order-1")
    order.place("ann", Decimal(5))
    append_recorded([order], store)
    append_recorded([order], store)
    assert [event.version for event in store.get_events_for_aggregate("order-1")] == [1]
    assert (order.version, order.recorded) == (1, [])


@pytest.mark.django_db
def test_event_that_the_store_rejects_stays_recorded(store: EventStore) -> None:
    order = shop.define().Order.blank("order-1")
    order.place("x" * 2_000_000, Decimal(5))
    with pytest.raises(InvalidEvent, match="EVENTS_MAX_EVENT_BYTES"):
        append_recorded([order], store)
    assert (order.version, len(order.recorded)) == (0, 1)


@pytest.mark.django_db
def test_aggregate_whose_applier_failed_appends_nothing(store: EventStore) -> None:
    class Noted(DomainEvent):
        text: str

    class Notebook(Aggregate, category="notebook"):
        @applies(Noted)
        def was_noted(self, event: Any) -> None:
            if event.text == "wrong":
                raise ZeroDivisionError

        @creates
        def note(self, text: str) -> None:
            self.record(Noted(text=text))

    with (
        pytest.raises(RuntimeError, match="an applier has failed before"),
        Repository(Notebook).change("1") as notebook,
    ):
        notebook.note("right")
        with pytest.raises(ZeroDivisionError):
            notebook.note("wrong")
    assert store.get_events_for_aggregate("notebook-1") == []


@pytest.mark.django_db(transaction=True)
def test_only_read_committed_sees_what_others_commit() -> None:
    assert sees_other_commits("default")
    for level, expected in (("READ COMMITTED", True), ("REPEATABLE READ", False), ("SERIALIZABLE", False)):
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
            assert sees_other_commits("default") is expected
            transaction.set_rollback(True)
            assert not sees_other_commits("default")
