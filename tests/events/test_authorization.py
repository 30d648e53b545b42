"""Who may do what, over HTTP and in the admin: every operation, as everybody."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import Group, Permission, User
from django.core.management import call_command
from django.test import Client
from rest_framework.test import APIClient

from events import authorization
from events.models import Event
from events.store import EventStore
from tests.hosts.walk import a_timer
from tests.support import new, stored

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("category_permissions")]


READER = (
    "events.view_event",
    "events.view_aggregate",
    "events.view_metrics",
    "projections.view_aggregateactivity",
    "projections.view_eventtypeactivity",
    "projections.view_dailyactivity",
    "projections.view_projectionstate",
    "projections.view_parkedevent",
    "projections.view_timer",
)


ROLES: dict[str, tuple[tuple[str, ...], dict[str, Any]]] = {
    "nobody": ((), {}),
    "reader": (READER, {}),
    "appender": (("events.add_event",), {}),
    "of order": (("events.view_event:order", "events.add_event:order"), {}),
    "of cart": (("events.view_event:cart", "events.add_event:cart"), {}),
    "staff": ((), {"is_staff": True}),
    "superuser": ((), {"is_superuser": True}),
}


EVENT = {"type": "A"}
ORDER = {"aggregate_id": "order-1", "type": "A"}


# The status of each operation for each role; by default 200 for roles that may read everything, and 403 for others.
SEEN_BY_READERS = {"reader": 200, "superuser": 200}
SEEN_IN_PART = {**SEEN_BY_READERS, "of order": 200, "of cart": 200}
SEEN_OF_ORDER = {**SEEN_BY_READERS, "of order": 200}
APPENDED = {"appender": 201, "of order": 201, "superuser": 201}


# Addresses that are open to anybody.
OPEN = ("/api/", "/api/health/live/", "/api/health/ready/", "/api/problems/invalid/")


OPERATIONS: list[tuple[str, str, Any, dict[str, int]]] = [
    ("get", "/api/aggregates/", None, SEEN_IN_PART),
    ("get", "/api/aggregates/order-1/", None, SEEN_OF_ORDER),
    ("get", "/api/aggregates/order-1/events/", None, SEEN_OF_ORDER),
    ("post", "/api/aggregates/order-1/events/", EVENT, APPENDED),
    ("get", "/api/aggregates/order-1/stream/", None, dict.fromkeys(SEEN_OF_ORDER, 501)),
    ("post", "/api/aggregates/order-1/commands/pay/", {"method": "card"}, {"superuser": 200}),
    ("post", "/api/aggregates/order-1/commands/place/", {"customer": "c", "quantities": {}}, {"superuser": 409}),
    ("post", "/api/aggregates/order-1/commands/withdraw/", {"reason": "r"}, {"superuser": 200}),
    ("get", "/api/event-types/", None, SEEN_BY_READERS),
    ("get", "/api/event-types/OrderReceived/", None, SEEN_BY_READERS),
    ("get", "/api/events/", None, SEEN_IN_PART),
    ("post", "/api/events/", ORDER, APPENDED),
    ("get", "/api/events/export/", None, SEEN_IN_PART),
    ("post", "/api/events/import/", json.dumps(ORDER), dict.fromkeys(APPENDED, 200)),
    ("get", "/api/events/stream/", None, dict.fromkeys(SEEN_IN_PART, 501)),
    ("get", "/api/events/stream/?aggregate_id=order-1", None, dict.fromkeys(SEEN_OF_ORDER, 501)),
    ("get", "/api/events/EVENT_ID/", None, {**SEEN_OF_ORDER, "of cart": 404}),
    ("get", "/api/metrics/", None, SEEN_BY_READERS),
    ("get", "/api/projections/", None, SEEN_BY_READERS),
    ("get", "/api/projections/aggregate_activity/", None, SEEN_BY_READERS),
    ("get", "/api/projections/aggregate_activity/parked/", None, SEEN_BY_READERS),
    ("get", "/api/timers/", None, SEEN_BY_READERS),
    ("delete", "/api/timers/TIMER_ID/", None, {"superuser": 204}),
    ("post", "/api/timers/TIMER_ID/fire/", {}, {"superuser": 204}),
    ("get", "/api/read-models/aggregate-activity/", None, SEEN_IN_PART),
    ("get", "/api/read-models/aggregate-activity/order-1/", None, SEEN_OF_ORDER),
    ("get", "/api/read-models/event-type-activity/", None, SEEN_BY_READERS),
    ("get", "/api/read-models/daily-activity/", None, SEEN_IN_PART),
    *(("get", path, None, dict.fromkeys(ROLES, 200)) for path in OPEN),
]


@pytest.fixture
def role(make_user: Callable[..., User]) -> Callable[[str], User]:
    return lambda name: make_user(*ROLES[name][0], **ROLES[name][1])


def client_of(user: User | None) -> APIClient:
    client = APIClient()
    if user:
        client.force_authenticate(user)
    return client


@pytest.mark.parametrize(("method", "path", "body", "answers"), OPERATIONS, ids=lambda each: str(each)[:60])
def test_every_operation_as_everybody(
    store: EventStore, role: Callable[[str], User], method: str, path: str, body: Any, answers: dict[str, int]
) -> None:
    store.dispatch(new("order-1"), new("cart-1"))
    path = path.replace("EVENT_ID", str(Event.objects.get(aggregate_id="order-1").event_id))
    path = path.replace("TIMER_ID", str(a_timer()))
    kind = {"content_type": "application/x-ndjson"} if "import" in path else {"format": "json"}
    before = stored()
    for name in ROLES:
        response = getattr(client_of(role(name)), method)(path, body, **(kind if method == "post" else {}))
        assert response.status_code == answers.get(name, 403), (name, getattr(response, "data", None))
        if response.status_code >= 400:
            assert response.headers["Content-Type"] == "application/problem+json"
            assert stored() == before
        before = stored()
    response = getattr(client_of(None), method)(path, body, **(kind if method == "post" else {}))
    assert response.status_code == (200 if path in OPEN else 401)
    assert stored() == before


def test_every_operation_of_the_schema_is_in_the_table() -> None:
    from drf_spectacular.generators import SchemaGenerator

    described = {
        (method, path)
        for path, methods in SchemaGenerator().get_schema(request=None, public=True)["paths"].items()
        for method in methods
    }
    names = {"order-1": "{aggregate_id}", "EVENT_ID": "{event_id}", "invalid": "{slug}"}
    names |= {"OrderReceived": "{event_type}", "TIMER_ID": "{timer_id}"}
    table = set()
    for method, path, _, _ in OPERATIONS:
        path = path.partition("?")[0].replace("/projections/aggregate_activity/", "/projections/{name}/")
        table.add((method, "/".join(names.get(part, part) for part in path.split("/"))))
    assert table == described - {("get", "/api/health/")}  # which is open to anybody


def test_only_the_granted_categories_are_shown(store: EventStore, role: Callable[[str], User]) -> None:
    store.dispatch(new("order-1"), new("cart-1"), new("order"), new("orders-1"), new("cart-2"))
    client = client_of(role("of order"))

    def ids(path: str, entries: str) -> list[str]:
        return [each["aggregate_id"] for each in client.get(path).json()[entries]]

    assert ids("/api/events/", "events") == ["order-1", "order"]
    assert ids("/api/events/?category=cart", "events") == []
    assert ids("/api/aggregates/", "aggregates") == ["order", "order-1"]
    assert ids("/api/read-models/aggregate-activity/", "activity") == ["order", "order-1"]
    exported = b"".join(client.get("/api/events/export/")).decode()
    assert [json.loads(line)["aggregate_id"] for line in exported.splitlines()] == ["order-1", "order"]


def test_several_aggregates_take_the_permission_for_each(store: EventStore, role: Callable[[str], User]) -> None:
    store.dispatch(new("cart-1"))
    client = client_of(role("of order"))
    body: dict[str, Any] = {"events": [ORDER, {"aggregate_id": "cart-1", "type": "A"}]}
    assert client.post("/api/events/", body, format="json").status_code == 403
    # Checking it, too, would tell its version.
    body = {"events": [ORDER], "expected_version": {"cart-1": 7}}
    assert client.post("/api/events/", body, format="json").status_code == 403
    assert stored() == [("cart-1", 1)]


def test_import_stops_at_a_category_that_is_not_granted(store: EventStore, role: Callable[[str], User]) -> None:
    lines = "\n".join(json.dumps({"aggregate_id": name, "type": "A"}) for name in ("order-1", "cart-1", "order-2"))
    response = client_of(role("of order")).post("/api/events/import/", lines, content_type="application/x-ndjson")
    assert (response.status_code, response.json()["line"], response.json()["stored"]) == (403, 2, 1)
    assert response.json()["type"] == "about:blank"
    assert stored() == [("order-1", 1)]


def test_users_who_may_append_but_not_read_get_no_content_back(store: EventStore, role: Callable[[str], User]) -> None:
    (event,) = store.dispatch(new("order-1", data={"secret": 1}))
    body = {"type": "Happened", "data": {"secret": 1}, "event_id": str(event.event_id)}
    response = client_of(role("appender")).post("/api/aggregates/order-1/events/", body, format="json")
    assert response.status_code == 200
    assert "secret" not in response.content.decode()
    response = client_of(role("appender")).post(
        "/api/aggregates/order-1/events/", body, format="json", headers={"Accept": "application/cloudevents-batch+json"}
    )
    assert response.json()[0]["id"] == body["event_id"]
    assert "secret" not in response.content.decode()


def test_id_in_use_elsewhere_does_not_reveal_its_aggregate(store: EventStore, role: Callable[[str], User]) -> None:
    (event,) = store.dispatch(new("order-1"))
    client = client_of(role("of cart"))
    body = {"aggregate_id": "cart-1", "type": "A", "event_id": str(event.event_id)}
    response = client.post("/api/events/", body, format="json")
    assert (response.status_code, response.json()["event_id"]) == (409, str(event.event_id))
    assert "order" not in response.content.decode()
    response = client.post("/api/events/import/", json.dumps(body), content_type="application/x-ndjson")
    assert (response.status_code, response.json()["field"]) == (400, "event_id")
    assert "order" not in response.content.decode()


def test_groups_carry_the_permissions_and_migrate_makes_them(make_user: Callable[..., User], settings: Any) -> None:
    settings.EVENTS_CATEGORY_PERMISSIONS = ["order", "invoice"]
    call_command("migrate", verbosity=0)
    group = Group.objects.create(name="book-keeping")
    group.permissions.set(Permission.objects.filter(codename__in=["view_event:invoice", "add_event:invoice"]))
    user = make_user()
    user.groups.add(group)
    assert authorization.readable(user).names == authorization.appendable(user).names == {"invoice"}
    assert Permission.objects.get(codename="view_event:invoice").name == "Can view events of invoice"


def test_category_permissions_hold_in_the_admin(store: EventStore, make_user: Callable[..., User]) -> None:
    order, cart = store.dispatch(new("order-1", "Ordered"), new("cart-1", "Carted"))
    client = Client()
    client.force_login(make_user(*ROLES["of order"][0], is_staff=True))
    for model in ("event", "aggregate"):
        page = client.get(f"/admin/events/{model}/").content.decode()
        assert "order-1" in page
        assert "cart" not in page.lower()
    assert client.get("/admin/events/aggregate/order-1/change/").status_code == 200
    assert client.get("/admin/events/aggregate/cart-1/change/").status_code == 302  # there is none, for them
    assert client.get(f"/admin/events/event/{order.position}/change/").status_code == 200
    assert client.get(f"/admin/events/event/{cart.position}/change/").status_code == 302
    assert "cart-1" not in client.get("/admin/projections/aggregateactivity/").content.decode()
    form = {"aggregate_id": "cart-1", "type": "A", "data": "{}", "expected_version": "1", "event_id": new().event_id}
    response = client.post("/admin/events/event/add/", form)
    assert "You may not append to the category &#x27;cart&#x27;" in response.content.decode()
    assert stored() == [("order-1", 1), ("cart-1", 1)]
    assert client.post("/admin/events/event/add/", {**form, "aggregate_id": "order-1"}).status_code == 302
    assert stored()[-1] == ("order-1", 2)


def test_staff_without_permission_sees_nothing_of_the_store_in_the_admin(make_user: Callable[..., User]) -> None:
    client = Client()
    client.force_login(make_user(is_staff=True))
    assert "/admin/events/" not in client.get("/admin/").content.decode()
    for path in ("event/", "aggregate/", "event/add/"):
        assert client.get(f"/admin/events/{path}").status_code == 403


def test_rates_are_limited_by_user_and_kind_of_request(make_user: Callable[..., User], settings: Any) -> None:
    settings.EVENTS_API_THROTTLE_RATES = {"append": "2/min"}
    one, other = client_of(make_user(*READER, "events.add_event")), client_of(make_user("events.add_event"))
    path = "/api/aggregates/order-1/events/"
    assert [one.post(path, EVENT, format="json").status_code for _ in range(3)] == [201, 201, 429]
    response = one.post(path, EVENT, format="json")
    assert (response.headers["Content-Type"], response.json()["title"]) == (
        "application/problem+json",
        "Too Many Requests",
    )
    assert 0 < int(response.headers["Retry-After"]) <= 60
    assert one.get(path).status_code == 200
    assert other.post(path, EVENT, format="json").status_code == 201
    assert len(stored()) == 3
