"""The demo's process manager: an order gets its parcel, or is withdrawn, or its payment is given back."""

import re
from contextlib import suppress
from datetime import timedelta

import pytest
from django.test import Client, TestCase
from django.utils import timezone

from events.store import EventStore
from events.testing import EagerEvents
from eventstore_project.domain import AlreadyPaid, AlreadyWithdrawn, Order, orders, parcels
from eventstore_project.models import Order as OrderRow
from eventstore_project.reactions import TIME_TO_PAY, Fulfilment
from projections.models import Timer
from projections.reactions import moving
from projections.testing import run_due_timers
from tests.projections.support import catch_up
from tests.support import in_threads, raise_first

store = EventStore()


def history(order: str) -> list[str]:
    return [event.type for event in store.get_events_for_aggregate(f"order-{order}")]


def place(order: str, sku: str = "MUG-1", quantity: int = 1) -> None:
    orders.handle(order, Order.place, "ann", {sku: quantity})


class WholeProcess(EagerEvents, TestCase):
    """With eager events, the process runs in the test, and `run_due_timers` moves the time."""

    def test_paid_order_gets_its_parcel(self) -> None:
        place("1")
        orders.handle("1", Order.pay, "card")
        assert history("1") == ["OrderReceived", "PaymentReceived", "ParcelPacked"]
        assert parcels.exists("1")
        assert OrderRow.objects.get().status == "packed"
        assert run_due_timers(timezone.now() + 2 * TIME_TO_PAY) == 0
        (requested,) = store.get_events_for_aggregate("parcel-1")
        _, paid, packed = store.get_events_for_aggregate("order-1")
        assert requested.metadata["causation_id"] == str(paid.event_id)
        assert packed.metadata["causation_id"] == str(requested.event_id)

    def test_order_that_is_not_paid_in_time_is_withdrawn(self) -> None:
        place("1")
        assert run_due_timers(timezone.now() + TIME_TO_PAY / 2) == 0
        assert run_due_timers(timezone.now() + 2 * TIME_TO_PAY) == 1
        assert history("1") == ["OrderReceived", "PaymentOverdue", "OrderWithdrawn"]
        overdue = store.get_events_for_aggregate("order-1")[1]
        assert overdue.timestamp == store.get_events_for_aggregate("order-1")[0].timestamp + TIME_TO_PAY

    def test_payment_is_given_back_if_no_parcel_is_possible(self) -> None:
        place("1", "DESK-9", 4)
        orders.handle("1", Order.pay, "card")
        assert history("1") == ["OrderReceived", "PaymentReceived", "PaymentRefunded"]
        refund = store.get_events_for_aggregate("order-1")[-1].payload
        assert (str(refund.amount), "insured up to 1000 EUR" in refund.reason) == ("1396.00", True)
        assert not parcels.exists("1")
        assert OrderRow.objects.get().status == "refunded"
        with pytest.raises(AlreadyPaid):
            orders.handle("1", Order.pay, "card")

    def test_withdrawn_order_has_no_deadline(self) -> None:
        place("1")
        orders.handle("1", Order.withdraw, "changed my mind")
        assert not Timer.objects.exists()

    def test_payment_before_the_timeout_is_handled_wins(self) -> None:
        place("1")
        Timer.objects.update(due_at=timezone.now() - timedelta(seconds=1))
        orders.handle("1", Order.pay, "card")
        assert history("1")[:2] == ["OrderReceived", "PaymentReceived"]
        assert "OrderWithdrawn" not in history("1")


@pytest.mark.django_db(transaction=True)
def test_pass_that_is_repeated_does_nothing_twice() -> None:
    for order in ("1", "2"):
        place(order)
    orders.handle("1", Order.pay, "card")
    catch_up(Fulfilment.name)
    catch_up(Fulfilment.name)
    before = store.settled_position()
    moving.rewind(Fulfilment.name, 1, by="x")
    catch_up(Fulfilment.name)
    assert store.settled_position() == before
    assert history("1") == ["OrderReceived", "PaymentReceived", "ParcelPacked"]
    assert [timer.key for timer in Timer.objects.all()] == ["order-2"]


@pytest.mark.django_db(transaction=True)
def test_payment_at_the_moment_of_the_timeout_is_either_in_time_or_rejected() -> None:
    """The aggregate decides: a payment and a withdrawal never both happen."""
    for number in range(8):
        place(str(number))
    catch_up(Fulfilment.name)
    due = timezone.now() - timedelta(minutes=1)
    Timer.objects.update(due_at=due, next_attempt_at=due)

    def pay() -> None:
        for number in range(8):
            with suppress(AlreadyWithdrawn):
                orders.handle(str(number), Order.pay, "card")

    raise_first(in_threads(pay, lambda: catch_up(Fulfilment.name)))
    catch_up(Fulfilment.name)
    for number in range(8):
        types = history(str(number))
        assert ("PaymentReceived" in types) is not ("OrderWithdrawn" in types), types
        assert ("ParcelPacked" in types) is ("PaymentReceived" in types), types


@pytest.mark.django_db(transaction=True)
def test_page_says_until_when_an_order_can_be_paid(client: Client) -> None:
    page = client.post("/shop/orders/", {"sku": "MUG-1", "quantity": 1}, follow=True).content.decode()
    assert "if not paid" not in page
    catch_up(Fulfilment.name)
    due = Timer.objects.get().due_at
    assert re.search(
        rf"Withdrawn at <time [^>]*>{due:%H:%M:%S} UTC</time> if not paid", client.get("/").content.decode()
    )
