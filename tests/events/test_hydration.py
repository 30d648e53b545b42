"""Events are built past `Model.__init__`; they must equal those that Django builds, in every use of a model instance.

A failure here after an upgrade of Django means that Django changed what an instance holds: mend events/hydration.py.
"""

import copy
import pickle
from collections.abc import Iterator
from typing import Any

import pytest
from django.core import serializers
from django.db import models
from django.db.models.base import ModelState
from django.db.models.signals import post_init, pre_init

from events.hydration import hydrate, is_initialization_observed
from events.models import Event
from events.store import EventStore
from tests.support import new

pytestmark = pytest.mark.django_db

FIELDS = [field.attname for field in Event._meta.concrete_fields]


@pytest.fixture
def event(store: EventStore) -> Event:
    return store.dispatch(new(data={"n": [1, 2.5, None]}, metadata={"by": "me"}))[0]


def built_by_django(event: Event, names: list[str]) -> Event:
    """Build the event by Django's own method, whatever `Event` has of its own."""
    values = [getattr(event, name) for name in names]
    return models.Model.from_db.__func__(Event, "default", names, values)  # type: ignore[attr-defined]


def built_here(event: Event, names: list[str]) -> Event:
    return Event.from_db("default", names, [getattr(event, name) for name in names])


def content(event: Event) -> dict[str, Any]:
    """All that an instance holds, the attributes of its state too."""
    return {**vars(event), "_state": (type(event._state), vars(event._state))}


@pytest.mark.parametrize("names", [FIELDS, [name for name in FIELDS if name not in ("data", "metadata")]])
def test_instances_hold_what_those_of_django_hold(event: Event, names: list[str]) -> None:
    ours, djangos = built_here(event, names), built_by_django(event, names)
    assert content(ours) == content(djangos)
    assert ours == djangos
    assert hash(ours) == hash(djangos)
    assert (ours._state.adding, ours._state.db) == (False, "default")
    assert ours.get_deferred_fields() == djangos.get_deferred_fields() == set(FIELDS) - set(names)
    for duplicate in (copy.copy, lambda each: pickle.loads(pickle.dumps(each))):  # noqa: S301
        assert content(duplicate(ours)) == content(duplicate(djangos))


def test_many_instances_are_built_as_one_is(event: Event) -> None:
    rows = [{name: getattr(event, name) for name in FIELDS} for _ in range(2)]
    first, second = Event.many_from_db("default", rows)
    assert content(first) == content(second) == content(built_by_django(event, FIELDS))
    assert first._state is not second._state


def test_django_builds_instances_from_nothing_else(event: Event) -> None:
    """What `Model.__init__` and `ModelState` leave in an instance: whatever is new here, hydration has to leave too."""
    djangos = built_by_django(event, FIELDS)
    assert vars(djangos).keys() == {"_state", *FIELDS}
    assert vars(djangos._state).keys() <= {"adding", "db", "fields_cache", "fetch_mode", "peers"}
    assert type(djangos._state) is ModelState


def test_deferred_fields_are_loaded_when_they_are_used(event: Event, django_assert_num_queries: Any) -> None:
    ours = Event.objects.only("position").get()
    assert "data" not in vars(ours)
    with django_assert_num_queries(1):
        assert ours.data == {"n": [1, 2.5, None]}


def test_instances_are_refreshed(event: Event) -> None:
    ours = built_here(event, FIELDS)
    ours.type = "Other"
    ours.refresh_from_db()
    assert ours.type == event.type
    assert serializers.serialize("json", [ours]) == serializers.serialize("json", [built_by_django(event, FIELDS)])


def test_related_state_belongs_to_one_instance(event: Event) -> None:
    """`fields_cache` appears when it is first used."""
    first, second = hydrate(Event, [{"position": 1}, {"position": 2}], "default", {})
    first._state.fields_cache["x"] = 1
    assert second._state.fields_cache == {}


@pytest.mark.parametrize("signal", [pre_init, post_init])
def test_receivers_of_djangos_signals_see_every_instance(event: Event, store: EventStore, signal: Any) -> None:
    seen: list[Any] = []

    def look(**kwargs: Any) -> None:
        seen.append(kwargs)

    assert not is_initialization_observed(Event)
    signal.connect(look, sender=Event)
    try:
        assert is_initialization_observed(Event)
        assert list(store.read_all()) == [event]
        assert built_here(event, FIELDS) == event
    finally:
        signal.disconnect(look, sender=Event)
    assert len(seen) == 2


def test_stored_events_are_hydrated(event: Event, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the other tests here would be about nothing."""

    def fail(*args: Any, **kwargs: Any) -> Iterator[None]:
        raise AssertionError("Model.__init__ was called")

    monkeypatch.setattr(models.Model, "__init__", fail)
    assert list(store.read_all()) == list(Event.objects.all()) == [event]
