"""The shipped read models in the admin."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client

from events.store import EventStore
from tests.events.support import page
from tests.support import some

pytestmark = pytest.mark.django_db


def test_read_model_is_listed(staff: Client, store: EventStore, make_user: Callable[..., User]) -> None:
    store.dispatch(*some(3))
    staff.force_login(make_user("projections.view_aggregateactivity", is_staff=True))
    html = page(staff, "/admin/projections/aggregateactivity/")
    assert 'field-event_count">3<' in html
