"""Helpers for the tests of the HTTP interface."""

from typing import Any
from urllib.parse import quote

from drf_spectacular.generators import SchemaGenerator
from rest_framework.test import APIClient

HISTORY = "/api/aggregates/a-1/events/"
PROBLEM = "application/problem+json"


def history_url(aggregate_id: str) -> str:
    return f"/api/aggregates/{quote(aggregate_id, safe='')}/events/"


def append(api: APIClient, body: Any, aggregate_id: str = "a-1", **headers: str) -> Any:
    return api.post(history_url(aggregate_id), body, format="json", headers=headers)


def pages(api: APIClient, url: str | None, entries: str) -> list[list[Any]]:
    found = []
    while url:
        body = api.get(url).json()
        found.append(body[entries])
        url = body["next"]
    return found


def send(api: APIClient, body: Any = None, path: str = HISTORY, **headers: str) -> Any:
    return api.post(
        path, body or {"type": "A"}, format="json", headers={k.replace("_", "-"): v for k, v in headers.items()}
    )


def as_problem(response: Any, status: int) -> dict[str, Any]:
    assert (response.status_code, response.headers["Content-Type"]) == (status, PROBLEM), response.content
    problem: dict[str, Any] = response.json()
    assert {"type", "title", "status", "detail"} <= problem.keys()
    assert problem["status"] == status
    return problem


def operations() -> list[tuple[str, dict[str, Any]]]:
    paths = SchemaGenerator().get_schema(request=None, public=True)["paths"]
    return [(f"{method} {path}", content) for path, methods in paths.items() for method, content in methods.items()]
