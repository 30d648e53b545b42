"""The event types over HTTP."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import override_settings
from django.urls import include, path
from rest_framework.test import APIClient

from events.domain import DomainEvent
from tests.events.api.support import PROBLEM

pytestmark = pytest.mark.django_db

urlpatterns = [path("a b/api/", include("events.api.urls", namespace="other"))]


def define() -> Any:
    class OrderPlaced(DomainEvent, renamed_from=["a/../b"]):
        """A customer has placed an order."""

        customer: str

    class Paid(DomainEvent, type="order/paid?", version=2):
        pass

    return OrderPlaced, Paid


def test_types_are_listed_by_name_with_the_address_of_their_schema(api: APIClient) -> None:
    define()
    placed, paid = api.get("/api/event-types/").json()["event_types"]
    assert placed == {
        "name": "OrderPlaced",
        "earlier_names": ["a/../b"],
        "version": 1,
        "description": "A customer has placed an order.",
        "schema": "http://testserver/api/event-types/OrderPlaced/",
    }
    assert (paid["name"], paid["version"]) == ("order/paid?", 2)
    assert api.get(paid["schema"]).json()["title"] == "Paid"


def test_schema_of_a_type_by_each_of_its_names(api: APIClient) -> None:
    define()
    schema = api.get("/api/event-types/OrderPlaced/").json()
    assert schema == {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "OrderPlaced",
        "description": "A customer has placed an order.",
        "type": "object",
        "properties": {"customer": {"type": "string"}},
        "required": ["customer"],
    }
    assert api.get("/api/event-types/a%2F..%2Fb/").json() == schema


def test_type_without_a_class_is_not_found(api: APIClient) -> None:
    response = api.get("/api/event-types/Nope/")
    assert (response.status_code, response["Content-Type"]) == (404, PROBLEM)
    assert response.json()["detail"] == "There is no event type 'Nope' with a payload class"


def test_slash_is_added_and_other_prefixes_and_namespaces_work(api: APIClient) -> None:
    define()
    response = api.get("/api/event-types")
    assert (response.status_code, response["Location"]) == (308, "/api/event-types/")
    with override_settings(ROOT_URLCONF=__name__):
        placed, _ = api.get("/a%20b/api/event-types/").json()["event_types"]
        assert placed["schema"] == "http://testserver/a%20b/api/event-types/OrderPlaced/"
        assert api.get(placed["schema"]).status_code == 200


def test_only_users_who_may_read_events_see_the_types(make_user: Callable[..., Any]) -> None:
    client = APIClient()
    assert client.get("/api/event-types/").status_code == 401
    client.force_authenticate(make_user("events.add_event"))
    assert client.get("/api/event-types/").status_code == 403
    assert client.get("/api/event-types/Nope/").status_code == 403
