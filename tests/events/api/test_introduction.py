"""The introduction of the OpenAPI description."""

from typing import Any

import pytest
from drf_spectacular.generators import SchemaGenerator

from events.api.introduction import add_introduction


@pytest.fixture
def described() -> dict[str, Any]:
    return SchemaGenerator().get_schema(request=None, public=True)


def test_description_says_what_it_is_and_how_to_begin(described: dict[str, Any]) -> None:
    text = described["info"]["description"]
    assert text.startswith("This is the HTTP interface of an event store.")
    headings = [line for line in text.splitlines() if line.startswith("#")]
    assert headings == ["## Get a token", "## Versions", "## Retries", "## Errors"]
    assert "`GET /api/` lists" in text


def test_tokens_come_first(described: dict[str, Any]) -> None:
    assert list(described["components"]["securitySchemes"]) == ["tokenAuth", "cookieAuth", "metricsToken"]


def test_each_tag_has_a_line(described: dict[str, Any]) -> None:
    used = {tag for path in described["paths"].values() for each in path.values() for tag in each["tags"]}
    assert [each["name"] for each in described["tags"]] == [
        "start",
        "aggregates",
        "event-types",
        "events",
        "health",
        "metrics",
        "problems",
        "projections",
        "read-models",
        "timers",
    ]
    assert used == {each["name"] for each in described["tags"]}
    assert all(each["description"].endswith((".", "?")) for each in described["tags"])


def test_own_description_and_tags_stay() -> None:
    tags = [{"name": "events", "description": "Ours"}]
    operation = {"tags": ["events", "health", "wallets"]}
    own = {"info": {"description": "Ours"}, "tags": tags, "paths": {"/a/": {"get": operation}}}
    changed = add_introduction(own, None, None, public=True)
    assert changed["info"] == {"description": "Ours"}
    assert [each["name"] for each in changed["tags"]] == ["events", "health"]
    assert changed["tags"][0] == tags[0]


def test_projects_without_tokens_are_told_of_none() -> None:
    plain = add_introduction({"info": {}, "paths": {}}, None, None, public=True)
    assert "Get a token" not in plain["info"]["description"]
    assert plain.keys() == {"info", "paths"}
