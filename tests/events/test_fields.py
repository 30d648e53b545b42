"""The JSON field reads back what was stored."""

from typing import Any

import pytest

from events.models import Event
from events.store import EventStore
from tests.support import new

pytestmark = pytest.mark.django_db


def test_keys_come_back_whatever_their_order(store: EventStore) -> None:
    store.dispatch(new(data={"b": 1, "a": 2, "aa": 3}))
    assert Event.objects.get().data == {"a": 2, "aa": 3, "b": 1}


def test_stored_event_holds_a_copy(store: EventStore) -> None:
    data = {"list": (1, 2)}
    (event,) = store.dispatch(new(data=data))
    data["list"] = (3,)
    assert event.data == {"list": [1, 2]} == Event.objects.get().data


@pytest.mark.parametrize("value", [-0.0, [-0.0, "-0.0", -0.01, 1e23]])
def test_negative_zero_is_zero_from_the_start(store: EventStore, value: Any) -> None:
    (event,) = store.dispatch(new(data={"value": value}))
    read = Event.objects.get().data["value"]
    assert repr(event.data["value"]) == repr(read)
    assert read == value


def test_filtering_on_data_works(store: EventStore) -> None:
    store.dispatch(new(data={"total": 5}), new(data={"total": 6}))
    assert Event.objects.get(data__total=6).version == 2
    assert list(Event.objects.values_list("data__total", flat=True)) == [5, 6]
