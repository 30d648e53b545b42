"""The plain signals."""

from typing import Any

import pytest

from events.models import Event
from events.signals import event_committed, event_dispatched
from events.store import EventStore
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


def test_plain_signals_carry_the_event(store: EventStore) -> None:
    seen = []

    def receiver(sender: Any, signal: Any, **kwargs: Any) -> None:
        seen.append((sender, signal, kwargs))

    event_dispatched.connect(receiver)
    event_committed.connect(receiver, sender=Event)
    (event,) = store.dispatch(new())
    kwargs = {"event": event, "using": "default"}
    assert seen == [(Event, event_dispatched, kwargs), (Event, event_committed, kwargs)]
