"""The header `Idempotency-Key`."""

from typing import Any

import pytest
from django.contrib.auth.models import User
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory, force_authenticate

from events.api import idempotency
from events.exceptions import InvalidEvent

pytestmark = pytest.mark.django_db


def request(user: Any = None, **headers: str) -> Request:
    plain = APIRequestFactory().post("/", **headers)
    force_authenticate(plain, user)
    return Request(plain)


def test_key_belongs_to_a_user_with_or_without_quotes() -> None:
    user = User.objects.create(username="somebody")
    for text in ("k-1", '"k-1"'):
        found = idempotency.key(request(user, HTTP_IDEMPOTENCY_KEY=text))
        assert found is not None
        assert found.text == "k-1"
        assert str(user.pk) in found.user
    assert idempotency.key(request(user)) is None


@pytest.mark.parametrize("text", ["", " ", "a, b", '"a', "ä", "x" * 256])
def test_key_that_is_not_valid_is_rejected(text: str) -> None:
    with pytest.raises(InvalidEvent, match="Idempotency-Key"):
        idempotency.key(request(User(pk=1), HTTP_IDEMPOTENCY_KEY=text))


def test_user_without_a_primary_key_has_none() -> None:
    with pytest.raises(InvalidEvent, match="needs a user with a primary key"):
        idempotency.key(request(HTTP_IDEMPOTENCY_KEY="k-1"))
