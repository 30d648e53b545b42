"""Events are linked for users who may read them."""

import re
from collections.abc import Callable

import pytest
from django.test import Client

from events.store import EventStore
from tests.projections.admin.support import break_some, page_of, read
from tests.projections.support import catch_up
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


def test_events_are_linked_for_users_who_may_read_them(
    client_of: Callable[..., Client], store: EventStore, category_permissions: None
) -> None:
    break_some(store)
    store.dispatch(new("order-1", "Fragile", data={"poison": 2, "secret": "opensesame"}))
    catch_up("fragile")
    viewer = client_of("projections.view_projectionstate", "projections.view_parkedevent", "events.view_event:order")
    page = read(viewer, page_of("fragile"))
    assert "/admin/events/aggregate/order-1/change/" in page
    assert "/admin/events/aggregate/a-0/change/" not in page
    assert len(re.findall(r"/admin/events/event/\d+/change/", page)) == 1
    assert "opensesame" not in page
