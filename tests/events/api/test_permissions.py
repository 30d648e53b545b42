"""Reading and appending over HTTP each take a permission."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from rest_framework.test import APIClient

from events.store import EventStore
from tests.events.api.support import append
from tests.support import new

pytestmark = pytest.mark.django_db

READ = ["/api/events/", "/api/aggregates/", "/api/aggregates/a-1/", "/api/aggregates/a-1/events/"]


@pytest.mark.parametrize("path", [*READ, "/api/read-models/aggregate-activity/"])
def test_nobody_reads_anonymously_or_without_permission(
    store: EventStore, make_user: Callable[..., User], path: str
) -> None:
    store.dispatch(new())
    client = APIClient()
    response = client.get(path)
    assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Token")
    client.force_authenticate(make_user("events.add_event"))
    assert client.get(path).status_code == 403
    client.force_authenticate(
        make_user("events.view_event", "events.view_aggregate", "projections.view_aggregateactivity")
    )
    assert client.get(path).status_code == 200


def test_appending_takes_its_own_permission(make_user: Callable[..., User]) -> None:
    client = APIClient()
    assert append(client, {"type": "A"}).status_code == 401
    client.force_authenticate(make_user("events.view_event"))
    assert append(client, {"type": "A"}).status_code == 403
    client.force_authenticate(make_user("events.add_event"))
    assert append(client, {"type": "A"}).status_code == 201
