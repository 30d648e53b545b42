"""Parked aggregates are shown in bounded pages."""

import pytest
from django.test import Client

from events.store import EventStore
from projections.admin import operation_log, parked_aggregates
from tests.projections.admin.support import break_some, page_of, read

pytestmark = pytest.mark.django_db(transaction=True)


def test_pages_are_bounded(operator: Client, store: EventStore, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parked_aggregates, "MAX_AGGREGATES", 2)
    monkeypatch.setattr(operation_log, "NEWEST", 2)
    break_some(store, aggregates=5)
    page = read(operator, page_of("fragile"))
    assert page.count("<article") == 2
    assert "and 3 more aggregates" in page
