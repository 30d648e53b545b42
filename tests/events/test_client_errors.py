"""What clients see of the errors of a dispatch."""

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import AnonymousUser, User
from django.core.exceptions import PermissionDenied

from events import client_errors
from events.exceptions import DispatchTooDeep, DuplicateEvent, InvalidEvent, Rejected, VersionConflict
from events.store import EventStore
from tests.support import new

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("error", [InvalidEvent("data", "x"), DispatchTooDeep(), PermissionDenied(), Rejected("no")])
def test_errors_of_handlers_do_not_blame_the_client(store: EventStore, admin_user: User, error: Exception) -> None:
    def fail(**kwargs: Any) -> None:
        raise error

    store.subscribe("A", fail)
    expected = Rejected if isinstance(error, Rejected) else client_errors.SubscriberFailed
    with pytest.raises(expected) as caught, client_errors.shown(admin_user):
        store.dispatch(new("a-1", "A"))
    assert caught.value is error or caught.value.__cause__ is error


@pytest.mark.parametrize("named", [True, False])
def test_conflict_of_a_handler_stays_where_the_client_named_the_aggregate(
    store: EventStore, admin_user: User, named: bool
) -> None:
    store.subscribe("A", lambda event, **kwargs: store.dispatch(new("secret-1", "B"), expected_version=7))
    expected = VersionConflict if named else client_errors.SubscriberFailed
    with pytest.raises(expected), client_errors.shown(admin_user, named=["secret-1"] if named else ["a-1"]):
        store.dispatch(new("a-1", "A"))


def test_duplicate_names_its_aggregate_only_to_users_who_may_read_it(make_user: Callable[..., User]) -> None:
    error = DuplicateEvent(uuid4(), "secret-1", "in use, in aggregate 'secret-1' at version 3")
    assert client_errors.as_shown(error, make_user("events.view_event")) is error
    for user in (make_user("events.add_event"), AnonymousUser(), None):
        masked = client_errors.as_shown(error, user)
        assert isinstance(masked, DuplicateEvent)
        assert (masked.event_id, masked.aggregate_id) == (error.event_id, None)
        assert "secret" not in str(masked)
