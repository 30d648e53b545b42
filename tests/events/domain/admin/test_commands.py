"""Commands as forms in the admin."""

import re
from collections.abc import Callable
from decimal import Decimal
from enum import Enum
from typing import Any

import pytest
from django.test import Client

from events.domain import Aggregate, DomainEvent, Repository, applies, command, creates
from events.domain.commands import create_permissions
from events.exceptions import Rejected
from events.models import Event
from events.store import EventStore
from events.types import NewEvent

PAGE = "/admin/events/aggregate/order-17/change/"
PAY = "/admin/events/aggregate/order-17/commands/pay/"


class AlreadyPaid(Rejected):
    pass


class Method(Enum):
    CARD = "card"
    CASH = "cash"


@pytest.fixture
def order(db: None) -> Any:
    class OrderPlaced(DomainEvent):
        total: Decimal

    class OrderPaid(DomainEvent):
        method: Method
        tip: Decimal | None

    class Order(Aggregate, category="order"):
        paid: bool = False

        @applies(OrderPaid)
        def was_paid(self, event: Any) -> None:
            self.paid = True

        @creates
        @command(permission="events.place_order")
        def place(self, total: Decimal) -> None:
            self.record(OrderPlaced(total=total))

        @command(permission="events.pay_order")
        def pay(self, method: Method, tip: Decimal | None = None) -> None:
            """Pay the whole order."""
            if self.paid:
                raise AlreadyPaid(f"{self.aggregate_id} is paid already")
            self.record(OrderPaid(method=method, tip=tip))

    create_permissions("default")
    Repository(Order).handle("17", Order.place, Decimal(5))
    return Order


@pytest.fixture
def cashier(order: Any, client_of: Callable[..., Client]) -> Client:
    return client_of("events.view_event", "events.view_aggregate", "events.pay_order")


def form_of(client: Client) -> dict[str, str]:
    html = client.get(PAY).content.decode()
    (once,) = re.findall(r'name="_once" value="([0-9a-f-]{36})"', html)
    return {"_once": once}


def test_page_of_an_aggregate_links_to_the_commands_that_the_user_may_run(
    cashier: Client, client_of: Callable[..., Client]
) -> None:
    html = cashier.get(PAGE).content.decode()
    assert f'href="{PAY}">Pay</a>' in html
    assert "commands/place" not in html
    reader = client_of("events.view_event", "events.view_aggregate")
    assert "commands/" not in reader.get(PAGE).content.decode()
    assert reader.get(PAY).status_code == 403
    assert reader.post(PAY, {"method": "card"}).status_code == 403
    assert cashier.get(PAY.replace("pay", "place")).status_code == 403
    assert cashier.get(PAY.replace("pay", "refund")).status_code == 404
    assert cashier.get(PAY.replace("order-17", "cart-1")).status_code == 404


def test_id_of_a_category_alone_has_no_commands(cashier: Client, store: EventStore) -> None:
    store.dispatch(NewEvent("order", "Other"))
    assert "/commands/" not in cashier.get(PAGE.replace("order-17", "order")).content.decode()
    assert cashier.get(PAY.replace("order-17", "order")).status_code == 404


def test_form_runs_the_command_and_says_what_it_did(cashier: Client, order: Any) -> None:
    html = cashier.get(PAY).content.decode()
    assert "Pay the whole order." in html
    assert '<option value="cash">' in html
    response = cashier.post(PAY, form_of(cashier) | {"method": "cash", "tip": "0.50"}, follow=True)
    assert response.redirect_chain == [(PAGE, 302)]
    assert "Pay: order-17 is at version 2 now." in response.content.decode()
    event = Event.objects.get(version=2)
    assert (event.payload.method, event.payload.tip) == (Method.CASH, Decimal("0.50"))
    assert Repository(order).get("17").paid


def test_wrong_arguments_are_errors_of_their_fields(cashier: Client) -> None:
    for data, error in (({"method": "cheque"}, "not one of the available choices"), ({"tip": "x"}, "Enter a number")):
        html = cashier.post(PAY, form_of(cashier) | {"method": "card"} | data).content.decode()
        assert error in html
        assert "Correct the marked fields." in html
    assert "This field is required" in cashier.post(PAY, form_of(cashier)).content.decode()
    assert Event.objects.count() == 1


def test_rejection_is_a_message_on_the_form(cashier: Client) -> None:
    cashier.post(PAY, form_of(cashier) | {"method": "card"})
    html = cashier.post(PAY, form_of(cashier) | {"method": "card"}).content.decode()
    assert "Nothing was stored: order-17 is paid already." in html
    assert Event.objects.count() == 2


def test_form_that_is_sent_twice_runs_the_command_once(cashier: Client) -> None:
    form = form_of(cashier) | {"method": "card"}
    for _ in range(2):
        response = cashier.post(PAY, form, follow=True)
        assert "is at version 2 now" in response.content.decode()
    assert "already sent this form" in cashier.post(PAY, form | {"method": "cash"}).content.decode()
    assert Event.objects.count() == 2
