"""What mypy makes of querysets: it learns from the plugin of django-stubs, which pyright has not."""

from typing import assert_type

from events.models import Aggregate, Event, EventQuerySet


def reading() -> None:
    assert_type(Event.objects.of_aggregate("order-1"), EventQuerySet[Event, Event])
    for event in Event.objects.after(7).of_types("OrderPlaced", dict):
        assert_type(event.position, int)
    assert_type(Aggregate.objects.get().version, int)
