"""Query parameters are read strictly."""

import pytest
from rest_framework.test import APIClient

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/events/?typ=A", "typ"),
        ("/api/events/?limit=0", "limit"),
        ("/api/events/?limit=1001", "limit"),
        ("/api/events/?limit=x", "limit"),
        ("/api/events/?after=-1", "after"),
        ("/api/events/?after=99999999999999999999", "after"),
        ("/api/events/?reverse=maybe", "reverse"),
        ("/api/events/?timestamp_after=x", "timestamp_after"),
        ("/api/events/?timestamp_after=2020-01-01T00:00:00", "timestamp_after"),
        ("/api/events/?limit=1&limit=2", "limit"),
        ("/api/events/?type=A&type=", "type"),
        ("/api/aggregates/?category=", "category"),
        ("/api/aggregates/zz%EF%BF%BD/events/", "aggregate_id"),
        ("/api/events/?aggregate_id=a%00b", "aggregate_id"),
        ("/api/aggregates/?starts_with=%00", "starts_with"),
        ("/api/aggregates/?after=%00", "after"),
        ("/api/aggregates/a%00b/", "aggregate_id"),
        ("/api/aggregates/a%00b/events/", "aggregate_id"),
        ("/api/aggregates/a%0Ab/events/", "aggregate_id"),
        ("/api/read-models/aggregate-activity/a%00b/", "aggregate_id"),
        ("/api/read-models/aggregate-activity/?foo=1", "foo"),
        ("/api/read-models/aggregate-activity/?limit=abc", "limit"),
        ("/api/aggregates/?page=2", "page"),
        ("/api/aggregates/a-1/?x=1", "x"),
        ("/api/aggregates/a-1/events/?after_version=x", "after_version"),
        ("/api/aggregates/a-1/events/?as_of=2020-01-01", "as_of"),
        ("/api/aggregates/a-1/events/?as_of=2020-01-01T00:00:00", "as_of"),
    ],
)
def test_parameters_are_read_strictly(api: APIClient, path: str, field: str) -> None:
    response = api.get(path)
    assert response.status_code == 400, response.content
    fault = response.json()
    assert (fault["type"], fault["field"], fault["index"]) == ("/api/problems/invalid/", field, None)
