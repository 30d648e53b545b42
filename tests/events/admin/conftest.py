"""Fixtures of the admin's tests."""

from collections.abc import Callable

import pytest
from django.test import Client

from tests.events.support import PERMISSIONS


@pytest.fixture
def staff(client_of: Callable[..., Client]) -> Client:
    """A client of the admin whose user may read and append."""
    return client_of(*PERMISSIONS)
