"""The health of projections over HTTP."""

import pytest
from django.test import override_settings
from rest_framework.test import APIClient

from events.store import EventStore
from projections.testing import run_until_caught_up
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.usefixtures("running_worker")
def test_health_fails_for_a_projection_that_lags_or_has_stopped(api: APIClient, store: EventStore) -> None:
    anybody = APIClient()
    run_until_caught_up()
    assert anybody.get("/api/health/").json() == {"status": "ok", "failing": []}
    store.dispatch(new("a-1", "Counted"))
    assert anybody.get("/api/health/").status_code == 200
    with override_settings(PROJECTIONS_MAX_LAG_SECONDS=1e-9):
        answer = anybody.get("/api/health/")
        assert answer.status_code == 503
        assert "tally" in answer.json()["failing"]
        assert "reasons" not in answer.json()
        assert "the limit is 1e-09 s" in api.get("/api/health/").json()["reasons"]["tally"]
    run_until_caught_up()
    with override_settings(PROJECTIONS_MAX_LAG_SECONDS=1e-9):
        assert anybody.get("/api/health/").status_code == 200
