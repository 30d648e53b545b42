"""Traffic for the demo while `make run` is up: customers place orders, pay most of them, and sometimes break a rule."""

import logging
import random
import threading
from collections import deque
from typing import get_args
from uuid import uuid4

from django.db import Error, close_old_connections

from events.context import event_context
from events.exceptions import EventStoreError
from projections.workers.supervisor import stop_on_signals

from .domain import GOODS, Method, Order, OrderRule, orders

logger = logging.getLogger(__name__)

PAUSE_SECONDS = (2.0, 6.0)
AFTER_ERROR_SECONDS = 10.0
# So many orders can still be paid or withdrawn.
OPEN_ORDERS = 20


class Customers:
    """Customers that take one step at a time."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._open: deque[tuple[str, str, str]] = deque(maxlen=OPEN_ORDERS)  # order, customer, correlation id

    def step(self) -> None:
        """Place an order, or let a customer pay or withdraw one; a rule of the shop may reject it."""
        if len(self._open) < 2 or self._chance.random() < 0.5:
            order, customer, flow = uuid4().hex[:8], f"customer-{self._chance.randrange(1, 40)}", str(uuid4())
            self._open.append((order, customer, flow))
            with event_context(correlation_id=flow, user=customer):
                skus = self._chance.sample(list(GOODS), self._chance.choice((1, 1, 2)))
                orders.handle(order, Order.place, customer, dict.fromkeys(skus, 1))
            return
        order, customer, flow = self._chance.choice(self._open)
        with event_context(correlation_id=flow, user=customer):
            try:
                self._decide(order)
            except OrderRule as rejection:
                logger.debug("rejected: %s", rejection)  # a customer has paid twice, or has too little in the wallet

    def _decide(self, order: str) -> None:
        luck = self._chance.random()
        if luck < 0.1:
            orders.handle(order, Order.withdraw, "changed my mind")
        elif luck < 0.2:
            orders.handle(order, Order.decline, "insufficient funds")
        else:
            methods: tuple[Method, ...] = get_args(Method)
            method = self._chance.choice(methods)
            orders.handle(order, Order.pay, method)


def generate() -> None:
    """Generate traffic until this process gets SIGTERM or SIGINT; an outage of the database is waited out."""
    customers, stopped = Customers(random.Random()), threading.Event()
    with stop_on_signals(stopped.set):
        pause = 0.0
        while not stopped.wait(pause):
            try:
                customers.step()
                pause = random.uniform(*PAUSE_SECONDS)
            except (EventStoreError, Error) as error:
                logger.warning("Traffic pauses for %.0f s: %s", AFTER_ERROR_SECONDS, error)
                close_old_connections()
                pause = AFTER_ERROR_SECONDS
