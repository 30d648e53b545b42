"""Suggestions of ids, and of the version that an event will get."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client

from events.admin.suggestions import known_categories, known_types, types_to_append
from events.domain import DomainEvent
from events.store import EventStore
from events.testing import isolated_registry
from tests.events.support import ADD
from tests.support import new, some

pytestmark = pytest.mark.django_db


def test_suggestions_tell_ids_and_the_version(
    staff: Client, store: EventStore, make_user: Callable[..., User], category_permissions: None
) -> None:
    url = f"{ADD}suggestions/"
    store.dispatch(*some(3, "order-1"), *[new(f"order-1{n:02}") for n in range(15)], new("cart-1"))
    assert staff.get(url, {"aggregate_id": "order-1"}).json() == {
        "aggregate_id": "order-1",
        "version": 3,
        "follows": "The event will follow version 3 of order-1.",
        "aggregates": ["order-1", *[f"order-1{n:02}" for n in range(9)]],
    }
    follows = "Enter the aggregate to which the event belongs."
    assert staff.get(url).json() == {"aggregate_id": "", "version": 0, "follows": follows, "aggregates": []}
    assert staff.get(url, {"aggregate_id": "a\0"}).status_code == 200
    client = Client()
    client.force_login(make_user("events.add_event:order", is_staff=True))
    assert client.get(url, {"aggregate_id": "order-1"}).json() == {
        "aggregate_id": "order-1",
        "version": 3,
        "follows": "The event will follow version 3 of order-1.",
        "aggregates": [],  # who may not read is told of no id
    }
    assert client.get(url, {"aggregate_id": "cart-1"}).json()["follows"] == "You may not append to the category 'cart'."
    client.force_login(make_user("events.add_event:order", "events.view_event", is_staff=True))
    assert len(client.get(url, {"aggregate_id": "order-1"}).json()["aggregates"]) == 10
    assert client.get(url, {"aggregate_id": "cart-1"}).json()["version"] == 0
    assert client.get(url, {"aggregate_id": "cart"}).json()["aggregates"] == []
    client.force_login(make_user("events.view_event", is_staff=True))
    assert client.get(url, {"aggregate_id": "cart"}).status_code == 403


def test_categories_of_single_aggregates_are_not_suggested(store: EventStore) -> None:
    store.dispatch(*(new(f"{kind}-{number}") for kind in ("cart", "order") for number in range(60)), new("0a-1"))
    assert known_categories("default") == ["0a", "cart", "order"]
    store.dispatch(*(new(f"{number:04x}") for number in range(300)))
    assert len(known_categories("default")) == 200  # before ANALYZE
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE events_aggregate")
    assert known_categories("default") == ["cart", "order"]


def test_types_with_a_class_are_suggested_before_an_event_of_them_is_stored(store: EventStore) -> None:
    with isolated_registry(empty=True):
        store.dispatch(new("order-1", "Odd"), new("order-1", "OrderSubmitted"))

        class OrderReceived(DomainEvent, renamed_from=["OrderSubmitted"]):
            pass

        class OrderLost(DomainEvent):
            pass

        assert types_to_append(None, "default") == ["Odd", "OrderLost", "OrderReceived"]
        assert known_types(None, "default") == ["Odd", "OrderReceived"]
