"""The shop page: visitors place and pay orders, and see the events beside them as they are stored.

The demo is served on the loopback address only, so anybody may click without logging in. Visitors may change the orders
of their own session only, and may read the events of orders only.
"""

import json
import re
from collections.abc import Callable
from datetime import datetime
from decimal import Decimal
from typing import Any, Final, get_args
from uuid import uuid4

from django import forms
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import Truncator
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_POST, require_safe
from drf_spectacular.utils import extend_schema
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from events import authorization
from events.api.views.streams import EventStream
from events.context import event_context
from events.exceptions import Rejected
from events.models import Event
from events.store import EventStore
from projections.models import Timer

from .domain import GOODS, INSURED, MAX_QUANTITY, WALLET_LIMIT, Method, Order, orders
from .models import Order as OrderRow
from .models import ProductSales
from .reactions import Fulfilment

VISITOR: Final = "visitor"
EVENTS_AT_FIRST = 12
DATA_CHARACTERS = 160
ORDERS_OF_A_SESSION = 6
NAMES: Final = {
    "BOOK-7": "Book",
    "LAMP-2": "Lamp",
    "MUG-1": "Mug",
    "PEN-4": "Pen",
    "DESK-9": "Desk",
}


class Choice(forms.Form):
    """What a visitor orders."""

    sku = forms.ChoiceField(choices=[(sku, NAMES[sku]) for sku in GOODS])
    quantity = forms.IntegerField(min_value=1, max_value=MAX_QUANTITY)


class Payment(forms.Form):
    """How a visitor pays."""

    method = forms.ChoiceField(choices=[(method, method) for method in get_args(Method)])


@never_cache
@require_safe
def page(request: HttpRequest) -> HttpResponse:
    """Show the goods, the orders of the session, and the newest events."""
    store = EventStore()
    settled = store.settled_position()
    newest = Event.objects.using(store.using).in_category(Order.category).up_to(settled).order_by("-position")
    context = {
        "goods": [{"sku": sku, "name": NAMES[sku], "price": price} for sku, price in GOODS.items()],
        "quantities": range(1, MAX_QUANTITY + 1),
        "wallet_limit": WALLET_LIMIT,
        "insured": INSURED,
        "orders": _orders(_own(request)),
        "sales": _sales(),
        "events": [(event, _shortened(event.readable_data)) for event in newest[:EVENTS_AT_FIRST]],
        "after": settled,
    }
    return render(request, "eventstore_project/shop.html", context)


@require_POST
def place(request: HttpRequest) -> HttpResponse:
    """Place an order for one product."""
    form = Choice(request.POST)
    if not form.is_valid():
        return _answer(request, messages.ERROR, _first_error(form))
    order_id = uuid4().hex[:8]
    chosen = {form.cleaned_data["sku"]: form.cleaned_data["quantity"]}
    aggregate_id = orders.aggregate_id(order_id)
    _as_visitor(aggregate_id, lambda: orders.handle(order_id, Order.place, VISITOR, chosen))
    request.session["orders"] = [aggregate_id, *_own(request)][:ORDERS_OF_A_SESSION]
    return _answer(request, messages.SUCCESS, f"You have placed {aggregate_id}. Now pay it.")


@require_POST
def pay(request: HttpRequest, aggregate_id: str) -> HttpResponse:
    """Pay an order of the session; the order may reject it."""
    _check_is_own(request, aggregate_id)
    form = Payment(request.POST)
    if not form.is_valid():
        return _answer(request, messages.ERROR, _first_error(form))
    return _command(request, f"You have paid {aggregate_id}.", aggregate_id, Order.pay, form.cleaned_data["method"])


@require_POST
def withdraw(request: HttpRequest, aggregate_id: str) -> HttpResponse:
    """Withdraw an order of the session; the order may reject it."""
    _check_is_own(request, aggregate_id)
    done = f"You have withdrawn {aggregate_id}."
    return _command(request, done, aggregate_id, Order.withdraw, "the visitor changed their mind")


class Visitor(AnonymousUser):
    """Anybody who has the page open: may read the events of orders."""

    @property
    def is_authenticated(self) -> Any:
        return True

    def get_all_permissions(self, obj: Any = None) -> set[str]:
        return {authorization.for_category(authorization.READ, Order.category)}

    def has_perm(self, perm: str, obj: Any = None) -> bool:
        return perm in self.get_all_permissions()


class AsVisitor(BaseAuthentication):
    """Take everybody for a visitor."""

    def authenticate(self, request: Request) -> tuple[Visitor, None]:
        return Visitor(), None


@extend_schema(exclude=True)
class ShopStream(EventStream):
    """The stream of the HTTP interface, for visitors."""

    authentication_classes = [AsVisitor]


def _command(
    request: HttpRequest, done: str, aggregate_id: str, command: Callable[..., Any], *args: Any
) -> HttpResponse:
    try:
        _as_visitor(aggregate_id, lambda: orders.handle(aggregate_id, command, *args))
    except Rejected as error:
        return _answer(request, messages.WARNING, f"Rejected: {error.message}. Nothing was stored.")
    return _answer(request, messages.SUCCESS, done)


def _as_visitor(order: str, run: Callable[[], Any]) -> None:
    """Run a command of a visitor; all events of an order are one flow."""
    with event_context(user=VISITOR, correlation_id=order):
        run()


def _answer(request: HttpRequest, level: int, text: str) -> HttpResponse:
    messages.add_message(request, level, text)
    return redirect("shop")


def _own(request: HttpRequest) -> list[str]:
    found: list[str] = request.session.get("orders", [])
    return found


def _check_is_own(request: HttpRequest, aggregate_id: str) -> None:
    if aggregate_id not in _own(request):
        raise Http404("This order is not one of your session")


def _first_error(form: forms.Form) -> str:
    (name, errors), *_ = form.errors.items()
    return f"{name}: {errors[0]}"


def _shortened(data: Any) -> str:
    text = re.sub(r"\n *", " ", json.dumps(data, ensure_ascii=False, indent=1))  # with spaces, where lines may break
    return Truncator(text).chars(DATA_CHARACTERS)


def _orders(ids: list[str]) -> list[tuple[OrderRow, datetime | None]]:
    """Return orders, the newest first, each with the moment at which it is withdrawn if it is not paid."""
    due = dict(Timer.objects.of(Fulfilment.name).filter(key__in=ids).values_list("key", "due_at"))
    rows = OrderRow.objects.filter(order_id__in=ids).order_by("-placed_at")
    return [(row, due.get(row.order_id)) for row in rows]


def _sales() -> list[dict[str, Any]]:
    rows = list(ProductSales.objects.order_by("-revenue"))
    most = max((row.revenue for row in rows), default=Decimal(1)) or Decimal(1)
    return [
        {
            "name": NAMES.get(row.sku, row.sku),
            "quantity": row.quantity,
            "revenue": row.revenue,
            "share": row.revenue / most,
        }
        for row in rows
    ]
