"""Bodies of other media types, and bodies that are too large."""

from typing import Any

import pytest
from rest_framework.test import APIClient

from tests.events.api.support import append, history_url

pytestmark = pytest.mark.django_db


def test_invalid_json_is_rejected(api: APIClient) -> None:
    for body in ('{"type": ', '{"type": "A", "data": {"n": NaN}}', '{"type": "A", "data": ' + "[" * 50_000):
        response = api.post(history_url("a-1"), body, content_type="application/json")
        assert (response.status_code, response.json()["field"]) == (400, "body")
    assert api.post(history_url("a-1"), {"type": "A"}).status_code == 415


def test_too_large_request_is_rejected_with_the_limit(api: APIClient, settings: Any) -> None:
    settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 1000
    response = append(api, {"type": "A", "data": {"text": "x" * 1000}})
    assert response.status_code == 413
    assert "DATA_UPLOAD_MAX_MEMORY_SIZE" in response.json()["detail"]
