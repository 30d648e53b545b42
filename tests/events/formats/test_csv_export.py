"""Stored events as CSV: every value comes back, and no cell is a formula."""

import csv
import io
import json

import pytest

from events.formats.csv_export import HEADER, csv_lines, without_mark
from events.models import Event
from events.storage.rows import fetch_page
from events.store import EventStore
from events.testing import make_event
from tests.support import new

pytestmark = pytest.mark.django_db


def test_each_event_is_a_line_from_which_all_its_fields_can_be_read(store: EventStore) -> None:
    texts = ["a-1", "=1+1", "'quoted'", "'=1", "@x", "-x", '"a", b;c', "é\u2028"]
    events = store.dispatch(*[new(text, text, data={"t": f"{text}\r\n", "big": 2**70}) for text in texts])
    ways = [events, fetch_page(Event.objects.order_by("position"), 100, as_rows=True)]
    for stored in ways:
        header, *rows = csv.reader(io.StringIO("".join(csv_lines(stored)), newline=""))
        assert tuple(header) == HEADER
        for event, text, row in zip(events, texts, rows, strict=True):
            cells = dict(zip(HEADER, row, strict=True))
            assert without_mark(cells["aggregate_id"]) == without_mark(cells["type"]) == text
            assert not cells["type"].startswith(("=", "@", "-"))
            assert json.loads(cells["data"]) == event.data
            assert cells["timestamp"] == event.timestamp.isoformat()
            assert (cells["position"], cells["event_id"]) == (str(event.position), str(event.event_id))


def test_event_that_cannot_be_read_says_why() -> None:
    event = make_event()
    event.unreadable = "why"
    _, line = csv_lines([event])
    assert line.endswith(",why\r\n")
