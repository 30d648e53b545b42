"""The filtered list of events as a file."""

import csv
import io
import json
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth.models import User
from django.test import Client

from events.admin import exporting
from events.store import EventStore
from tests.events.support import EVENTS, link_on, page
from tests.support import UNREADABLE, new, some, store_unchecked

pytestmark = pytest.mark.django_db


def exported(client: Client, file_format: str, **parameters: str) -> bytes:
    response = client.get(f"{EVENTS}export/{file_format}/", parameters)
    assert response.status_code == 200
    assert response["Content-Disposition"] == f'attachment; filename="events.{file_format}"'
    return b"".join(response.streaming_content)  # type: ignore[attr-defined,arg-type]


def rows_of(content: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"))))


def test_list_is_exported_as_csv_and_json_lines(staff: Client, store: EventStore) -> None:
    events = store.dispatch(*some(60, "order-1"), new("cart-1", "Closed", data={"text": 'é;,\n"x"'}))
    assert exported(staff, "jsonl") == b"".join(store.export())
    rows = rows_of(exported(staff, "csv"))
    assert [int(row["position"]) for row in rows] == [event.position for event in events]
    assert json.loads(rows[-1]["data"]) == events[-1].data


@pytest.mark.parametrize(
    ("parameters", "versions"),
    [
        ({"type": "Paid"}, [2]),
        ({"category": "cart"}, [1]),
        ({"aggregate_id": "order-1"}, [1, 2]),
        ({"q": "order-"}, [1, 2]),
        ({"q": "MUG", "in": "data"}, [2, 1]),
        ({"correlation_id": "c"}, [1]),
        ({"recorded_before": "2000-01-01"}, []),
        ({"recorded_from": "2000-01-01", "before": "1", "at": "1", "after": "1"}, [1, 2, 1]),
    ],
)
def test_export_has_what_the_list_has_on_all_its_pages(
    staff: Client, store: EventStore, parameters: dict[str, str], versions: list[int]
) -> None:
    store.dispatch(
        new("order-1", "Placed", metadata={"correlation_id": "c"}),
        new("order-1", "Paid", data={"sku": "mug"}),
        new("cart-1", "Closed", data={"sku": "mug"}),
    )
    assert [int(row["version"]) for row in rows_of(exported(staff, "csv", **parameters))] == versions
    lines = exported(staff, "jsonl", **parameters).splitlines()
    assert [json.loads(line)["version"] for line in lines] == versions
    html = page(staff, EVENTS, **{name: value for name, value in parameters.items() if name not in ("before", "at")})
    assert ("Export" in html) is bool(versions)
    if versions:
        assert staff.get(link_on(html, "CSV")).status_code == 200


def test_users_export_the_categories_that_they_may_read(
    store: EventStore, make_user: Callable[..., User], category_permissions: None
) -> None:
    store.dispatch(new("order-1"), new("cart-1"))
    client = Client()
    client.force_login(make_user("events.view_event:order", is_staff=True))
    for file_format in ("csv", "jsonl"):
        assert b"order-1" in exported(client, file_format)
        assert b"cart-1" not in exported(client, file_format)
    client.force_login(make_user("events.add_event", is_staff=True))
    assert client.get(f"{EVENTS}export/csv/").status_code == 403


def test_other_formats_and_filters_are_no_pages(staff: Client) -> None:
    assert staff.get(f"{EVENTS}export/xml/").status_code == 404
    assert staff.get(f"{EVENTS}export/csv/?nonsense=1").status_code == 400


@pytest.mark.parametrize(("field", "text"), UNREADABLE.values(), ids=UNREADABLE)
def test_export_goes_on_behind_an_event_that_python_cannot_represent(
    staff: Client, store: EventStore, field: str, text: str
) -> None:
    store_unchecked(**{field: text})
    store.dispatch(new(data={"n": "last"}))
    marked, last = rows_of(exported(staff, "csv"))
    assert field in marked["unreadable"]
    assert (last["data"], last["unreadable"]) == ('{"n":"last"}'.replace(":", ": "), "")


def test_export_reads_and_sends_a_part_at_a_time(
    staff: Client, store: EventStore, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.EVENTS_READ_PAGE_BYTES = 8 * 20_000
    monkeypatch.setattr(exporting, "_PART_CHARACTERS", 10_000)
    store.dispatch(*[new(data={"text": "x" * 8_000}) for _ in range(9)])
    response = staff.get(f"{EVENTS}export/csv/")
    parts = [len(part) for part in response.streaming_content]  # type: ignore[attr-defined]
    assert max(parts) < 20_000
    assert len(parts) >= 4


@pytest.mark.parametrize(
    "parameters",
    [{"recorded_from": "garbage"}, {"q": "x" * 256}, {"correlation_id": "x" * 256}],
)
def test_list_with_a_filter_that_is_not_valid_is_not_exported(
    staff: Client, store: EventStore, parameters: dict[str, str]
) -> None:
    store.dispatch(*some(2))
    for file_format in ("csv", "jsonl"):
        response = staff.get(f"{EVENTS}export/{file_format}/", parameters)
        assert (response.status_code, response["Content-Type"]) == (400, "text/plain")


def test_export_is_offered_on_an_empty_page_of_a_list_with_events(staff: Client, store: EventStore) -> None:
    store.dispatch(*some(2))
    assert "Export all as" in page(staff, EVENTS, at="2000-01-01")
    assert "Export all as" not in page(staff, EVENTS, type="Unknown")
