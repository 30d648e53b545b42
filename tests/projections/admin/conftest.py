"""Fixtures of the tests of the projections' admin."""

from collections.abc import Callable

import pytest
from django.test import Client


@pytest.fixture
def operator(client_of: Callable[..., Client]) -> Client:
    return client_of(
        "projections.view_projectionstate", "projections.view_parkedevent", "projections.operate_projections"
    )
