"""The record of operations: newest first, for users who may view it, and never changed."""

from collections.abc import Callable

import pytest
from django.contrib.auth.models import User
from django.test import Client, RequestFactory

from projections.admin import operation_log
from projections.models import Operation

pytestmark = pytest.mark.django_db

LIST = "/admin/projections/operation/"


def record(number: int, projection: str = "tally") -> None:
    for n in range(number):
        Operation.objects.create(projection=projection, version=1, action="pause", by="me", reason=f"reason {n}")


def test_newest_come_first_and_are_few() -> None:
    record(operation_log.NEWEST + 5)
    record(1, "other")
    reasons = [each.reason for each in operation_log.latest_operations("tally")]
    assert reasons == [f"reason {n}" for n in range(operation_log.NEWEST + 4, 4, -1)]


def test_record_takes_its_permission(rf: RequestFactory, make_user: Callable[..., User]) -> None:
    request = rf.get("/")
    for permissions in ((), ("projections.view_operation",)):
        request.user = make_user(*permissions)
        assert operation_log.may_view_operations(request) is bool(permissions)


def test_record_is_listed_and_never_changed(admin_client: Client) -> None:
    record(2)
    assert "reason 1" in admin_client.get(LIST).content.decode()
    pk = Operation.objects.latest("pk").pk
    assert admin_client.get(f"{LIST}add/").status_code == 403
    assert admin_client.post(f"{LIST}{pk}/delete/").status_code == 403
    assert Operation.objects.count() == 2
