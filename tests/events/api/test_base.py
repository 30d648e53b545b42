"""No request changes stored events."""

import pytest
from rest_framework.test import APIClient

from events.models import Event
from events.store import EventStore
from tests.events.api.support import history_url
from tests.support import new

pytestmark = pytest.mark.django_db


def test_no_method_changes_what_is_stored(api: APIClient, store: EventStore) -> None:
    (event,) = store.dispatch(new())
    for path in (history_url("a-1"), "/api/aggregates/a-1/", f"/api/events/{event.event_id}/", "/api/events/"):
        for method in (api.put, api.patch, api.delete):
            assert method(path, {}, format="json").status_code in (403, 405)
    assert Event.objects.get() == event
