"""The page that explains a type of problem."""

import pytest
from rest_framework.test import APIClient

from events.api.problems import TYPES
from tests.events.api.support import as_problem

pytestmark = pytest.mark.django_db


def test_types_of_problems_are_explained_where_they_point(api: APIClient) -> None:
    problem = as_problem(api.get("/api/events/?typ=1"), 400)
    explained = APIClient().get(problem["type"]).json()
    assert explained == {"title": problem["title"], "remedy": TYPES["invalid"].remedy}
    as_problem(APIClient().get("/api/problems/unheard/"), 404)
