"""Commands over HTTP: permissions, arguments, versions, rejections, and repeated requests."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.db import connections
from rest_framework.test import APIClient

from events.api.problems import MEDIA_TYPE
from events.domain import Aggregate, DomainEvent, Repository, applies, command, creates
from events.domain.commands import create_permissions
from events.exceptions import Rejected
from events.models import Event
from events.store import EventStore
from events.testing import isolated_registry
from events.types import NewEvent

PAY = "/api/aggregates/order-17/commands/pay/"
PLACE = "/api/aggregates/order-17/commands/place/"


class AlreadyPaid(Rejected):
    status = 422


@pytest.fixture
def order() -> Any:
    class OrderPlaced(DomainEvent):
        customer: str
        total: Decimal

    class OrderPaid(DomainEvent):
        method: str

    class Order(Aggregate, category="order"):
        total: Decimal = Decimal(0)
        paid: bool = False

        @applies(OrderPlaced)
        def was_placed(self, event: Any) -> None:
            self.total = event.total

        @applies(OrderPaid)
        def was_paid(self, event: Any) -> None:
            self.paid = True

        @creates
        @command(permission="events_domain.place_order")
        def place(self, customer: str, total: Decimal = Decimal(5)) -> Decimal:
            self.record(OrderPlaced(customer=customer, total=total))
            return total

        @command(permission="events_domain.pay_order")
        def pay(self, method: str) -> None:
            """Pay the order."""
            if self.paid:
                raise AlreadyPaid(f"{self.aggregate_id} is paid already", code="already-paid")
            self.record(OrderPaid(method=method))

        @command(permission="events_domain.pay_order")
        def nothing(self) -> Any:
            return {"total": self.total, "object": object()} if self.paid else None

        @command(permission="events_domain.pay_order")
        def pay_and_return(self, kind: str) -> Any:
            self.record(OrderPaid(method=kind))
            return {"nan": float("nan"), "lone surrogate": "\ud800", "NUL": ["\0"], "huge": 10**5000}[kind]

        @command
        def nobody_may(self) -> None:
            raise AssertionError

        def internal(self) -> None:
            raise AssertionError

    return Order


@pytest.fixture
def client(order: Any, db: None, make_user: Callable[..., User]) -> APIClient:
    create_permissions("default")
    found = APIClient()
    found.force_authenticate(make_user("events_domain.place_order", "events_domain.pay_order"))
    return found


def types() -> list[str]:
    return list(Event.objects.order_by("position").values_list("type", flat=True))


def test_command_runs_with_typed_arguments(client: APIClient, order: Any) -> None:
    response = client.post(PLACE, {"customer": "ann", "total": "5.10"}, format="json")
    (event,) = Event.objects.all()
    assert response.status_code == 200, response.content
    assert response["ETag"] == '"1"'
    assert response.json() == {
        "aggregate_id": "order-17",
        "version": 1,
        "position": event.position,
        "result": "5.10",
    }
    assert event.data == {"customer": "ann", "total": "5.10"}
    assert client.post(PAY, {"method": "card"}, format="json").json()["version"] == 2
    assert Repository(order).get("17").paid


@pytest.mark.parametrize(
    ("body", "field", "reason"),
    [
        ({}, "customer", "is missing"),
        ({"customer": 5}, "customer", "expected str, got int"),
        ({"customer": "ann", "total": "NaN"}, "total", "is NaN; give a finite number"),
        ({"customer": "ann", "total": "x"}, "total", "invalid decimal string"),
        ({"customer": "ann", "tip": 1}, "tip", "is not a field of place; the fields are: customer, total"),
        ([], "body", "must be a JSON object"),
        ("x", "body", "must be a JSON object"),
    ],
)
def test_arguments_that_do_not_fit_are_rejected(client: APIClient, body: Any, field: str, reason: str) -> None:
    response = client.post(PLACE, body, format="json")
    assert response.status_code == 400
    assert response["Content-Type"] == MEDIA_TYPE
    assert response.json()["field"] == field
    assert reason in response.json()["detail"]
    assert not Event.objects.exists()


def test_only_users_with_the_permission_may_run_a_command(
    client: APIClient, make_user: Callable[..., User], order: Any
) -> None:
    other = APIClient()
    assert other.post(PAY, {"method": "card"}, format="json").status_code in (401, 403)
    other.force_authenticate(make_user("events.add_event", "events_domain.place_order"))
    response = other.post(PAY, {"method": "card"}, format="json")
    assert response.status_code == 403
    assert "you need events_domain.pay_order" in response.json()["detail"]
    assert client.post(PAY.replace("pay", "nobody_may"), {}, format="json").status_code == 403
    for unknown in ("internal", "record", "nothing_of_the_kind", "_work"):
        assert client.post(PAY.replace("pay", unknown), {}, format="json").status_code == 404
    assert client.post(PAY.replace("order-17", "cart-1"), {}, format="json").status_code == 404
    assert client.get(PAY).status_code == 405


def test_aggregate_without_events_is_not_found_and_a_rejection_has_its_status(client: APIClient) -> None:
    response = client.post(PAY, {"method": "card"}, format="json")
    assert (response.status_code, response.json()["detail"]) == (404, "there is no aggregate 'order-17'")
    client.post(PLACE, {"customer": "ann"}, format="json")
    client.post(PAY, {"method": "card"}, format="json")
    response = client.post(PAY, {"method": "card"}, format="json")
    assert response.status_code == 422
    assert (response.json()["code"], response.json()["detail"]) == ("already-paid", "order-17 is paid already")
    assert types() == ["OrderPlaced", "OrderPaid"]


def test_expected_version_of_a_header_must_hold(client: APIClient) -> None:
    assert client.post(PLACE, {"customer": "a"}, format="json", HTTP_IF_MATCH='"3"').status_code == 412
    assert client.post(PLACE, {"customer": "a"}, format="json", HTTP_IF_MATCH="*").status_code == 412
    assert client.post(PLACE, {"customer": "a"}, format="json", HTTP_IF_NONE_MATCH="*").status_code == 200
    response = client.post(PLACE, {"customer": "a"}, format="json", HTTP_IF_NONE_MATCH="*")
    assert response.status_code == 412
    assert response.json()["conflicts"] == [{"aggregate_id": "order-17", "expected": 0, "actual": 1}]
    assert client.post(PAY, {"method": "x"}, format="json", HTTP_IF_MATCH='"1"').status_code == 200
    assert types() == ["OrderPlaced", "OrderPaid"]


def test_result_without_a_form_in_json_is_a_fault_before_anything_is_stored(client: APIClient) -> None:
    client.post(PLACE, {"customer": "ann"}, format="json")
    assert client.post(PAY.replace("pay", "nothing"), {}, format="json").json()["result"] is None
    client.post(PAY, {"method": "card"}, format="json")
    with pytest.raises(TypeError, match="a object has no form in JSON"):
        client.post(PAY.replace("pay", "nothing"), {}, format="json")


@pytest.mark.parametrize("key", [{}, {"HTTP_IDEMPOTENCY_KEY": "k-1"}], ids=["", "key"])
@pytest.mark.parametrize("kind", ["nan", "lone surrogate", "NUL", "huge"])
def test_result_that_json_cannot_represent_is_a_fault_before_anything_is_stored(
    client: APIClient, kind: str, key: Any
) -> None:
    client.post(PLACE, {"customer": "ann"}, format="json")
    with pytest.raises(TypeError, match="the command returned what JSON cannot represent: result"):
        client.post(PAY.replace("pay", "pay_and_return"), {"kind": kind}, format="json", **key)
    assert types() == ["OrderPlaced"]


def test_id_of_a_category_alone_has_no_commands(client: APIClient, store: EventStore) -> None:
    store.dispatch(NewEvent("order", "OrderPlaced", {"customer": "ann", "total": "5"}))
    for aggregate_id in ("order", "order-"):
        response = client.post(PAY.replace("order-17", aggregate_id), {"method": "card"}, format="json")
        assert response.status_code == 404
        assert "has no command 'pay'" in response.json()["detail"]
    assert types() == ["OrderPlaced"]


def test_process_with_older_code_asks_to_try_again(client: APIClient, store: EventStore) -> None:
    client.post(PLACE, {"customer": "ann"}, format="json")
    with isolated_registry(empty=True):

        class OrderPaid(DomainEvent, version=2):
            pass

        store.dispatch(NewEvent("order-17", OrderPaid()))
    response = client.post(PAY, {"method": "card"}, format="json")
    assert (response.status_code, response["Retry-After"]) == (503, "5")
    assert "older code" in response.json()["detail"]


def test_repeated_request_gets_the_first_answer_and_the_command_does_not_run_again(client: APIClient) -> None:
    key = {"HTTP_IDEMPOTENCY_KEY": "k-1"}
    first = client.post(PLACE, {"customer": "ann"}, format="json", **key)
    assert first.status_code == 200
    client.post(PAY, {"method": "card"}, format="json")
    again = client.post(PLACE, {"customer": "ann"}, format="json", **key)
    assert (again.status_code, again.json(), again["ETag"]) == (200, first.json(), '"1"')
    reused = client.post(PLACE, {"customer": "bob"}, format="json", **key)
    assert (reused.status_code, reused.json()["title"]) == (422, "The idempotency key belongs to another request")
    assert types() == ["OrderPlaced", "OrderPaid"]


def test_command_that_was_rejected_may_succeed_under_its_key_later(client: APIClient) -> None:
    key = {"HTTP_IDEMPOTENCY_KEY": "k-1"}
    assert client.post(PAY, {"method": "card"}, format="json", **key).status_code == 404
    client.post(PLACE, {"customer": "ann"}, format="json")
    assert client.post(PAY, {"method": "card"}, format="json", **key).status_code == 200
    assert client.post(PAY, {"method": "card"}, format="json", **key).status_code == 200
    assert types() == ["OrderPlaced", "OrderPaid"]


def test_key_belongs_to_one_user_and_one_address(client: APIClient, make_user: Callable[..., User]) -> None:
    key = {"HTTP_IDEMPOTENCY_KEY": "k-1"}
    other = APIClient()
    other.force_authenticate(make_user("events_domain.place_order", "events_domain.pay_order"))
    for each in (client, other):
        assert each.post(PLACE, {"customer": "ann"}, format="json", **key).json()["version"] == len(types())
    assert client.post(PAY, {"method": "card"}, format="json", **key).status_code == 200
    assert types() == ["OrderPlaced", "OrderPlaced", "OrderPaid"]


@pytest.mark.django_db(transaction=True)
def test_requests_with_one_key_at_once_run_the_command_once(
    client: APIClient, order: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = client.handler._force_user
    client.post(PLACE, {"customer": "ann"}, format="json")

    def work(_: int) -> Any:
        own = APIClient()
        own.force_authenticate(user)
        try:
            return own.post(PLACE, {"customer": "bob"}, format="json", HTTP_IDEMPOTENCY_KEY="k").json()
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(work, range(8)))
    assert all(answer == answers[0] for answer in answers), answers
    assert [event.version for event in EventStore().get_events_for_aggregate("order-17")] == [1, 2]
