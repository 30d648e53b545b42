"""Cases 14 to 16 of the domain toolkit: snapshots are folds of stored events, used by equal code only, and never needed."""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext

from events.domain import Aggregate, DomainEvent, Repository, applies, change_together, creates
from events.domain.models import Snapshot
from events.exceptions import InvalidEvent, Rejected
from events.store import EventStore
from events.types import NewEvent


class Added(DomainEvent, type="SnapshotAdded"):
    number: int
    price: Decimal = Decimal("1.50")


def define(times: int = 1) -> Any:
    class Counter(Aggregate, category="counter"):
        total: int = 0
        applied: int = 0

        @applies(Added)
        def was_added(self, event: Added) -> None:
            self.total += times * event.number

        @creates
        def add(self, *numbers: int) -> None:
            for number in numbers:
                self.record(Added(number=number))

    return Counter
