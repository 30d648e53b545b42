"""The read models that come with the app, over HTTP."""

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from events.models import Event
from events.store import EventStore
from projections.models import EventTypeActivity
from tests.projections.support import catch_up
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


def test_shipped_projections_count_by_type_and_by_day(api: APIClient, store: EventStore) -> None:
    day = timezone.datetime(2030, 1, 31, 23, 30, tzinfo=timezone.get_fixed_timezone(-60))
    store.dispatch(new("user-1", "Born", timestamp=day), new("user-2", "Born"), new("x", "Died", timestamp=day))
    catch_up("event_type_activity", "daily_activity")
    store.dispatch(new("user-1", "Died", timestamp=day))
    catch_up("event_type_activity", "daily_activity")
    rows = api.get("/api/read-models/event-type-activity/").json()["activity"]
    assert [(row["type"], row["event_count"]) for row in rows] == [("Born", 2), ("Died", 2)]
    died = EventTypeActivity.objects.get(type="Died")
    positions = Event.objects.filter(type="Died").order_by("position").values_list("position", flat=True)
    assert (died.first_position, died.last_position) == tuple(positions)
    page = api.get("/api/read-models/daily-activity/", {"days": 1}).json()
    assert [(row["day"], row["category"], row["event_count"]) for row in page["activity"]] == [
        ("2030-02-01", "user", 2),
        ("2030-02-01", "x", 1),
    ]
    assert [row["event_count"] for row in api.get(page["next"]).json()["activity"]] == [1]
    assert len(api.get("/api/read-models/daily-activity/", {"category": "x"}).json()["activity"]) == 1
    assert api.get("/api/read-models/daily-activity/", {"before": "tomorrow"}).status_code == 400
    assert api.get(api.get("/api/read-models/event-type-activity/", {"limit": 1}).json()["next"]).status_code == 200
