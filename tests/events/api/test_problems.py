"""Errors over HTTP: problem details everywhere, and whatever comes in, never a 5xx, nothing stored."""

import json
import os
import time
from collections.abc import Callable, Iterator
from typing import Any
from uuid import UUID

import pytest
from django.contrib.auth.models import User
from django.core.exceptions import PermissionDenied as DjangoPermissionDenied
from django.core.exceptions import SuspiciousOperation
from django.http import Http404
from django.test import override_settings
from django.urls import clear_url_caches
from django.urls import path as route
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rest_framework.authentication import BaseAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.exceptions import ValidationError
from rest_framework.renderers import BrowsableAPIRenderer, JSONRenderer
from rest_framework.response import Response
from rest_framework.test import APIClient
from rest_framework.views import APIView

from events.api import problems
from events.api.base import StoreView
from events.exceptions import Conflict, DispatchTooDeep, DuplicateEvent, InvalidEvent, Rejected, VersionConflict
from events.store import EventStore
from eventstore_project import urls
from tests.events.api.support import HISTORY, PROBLEM, append, as_problem
from tests.support import new, stored

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    "accept", ["application/json", "*/*", "application/problem+json, */*", "text/event-stream", None]
)
def test_errors_are_problem_details_whatever_was_accepted(
    api: APIClient, make_user: Callable[..., User], accept: str | None
) -> None:
    headers = {"Accept": accept} if accept else {}
    path = "/api/events/stream/" if accept == "text/event-stream" else "/api/events/"
    assert as_problem(APIClient().get(path, headers=headers), 401)["type"] == "about:blank"
    nobody = APIClient()
    nobody.force_authenticate(make_user())
    as_problem(nobody.get(path, headers=headers), 403)
    assert as_problem(api.get(path + "?typ=1", headers=headers), 400)["type"] == "/api/problems/invalid/"


def test_every_kind_of_error(api: APIClient) -> None:
    as_problem(api.get("/api/aggregates/nobody/"), 404)
    as_problem(api.get("/api/events/6ba7b810-9dad-11d1-80b4-00c04fd430c8/"), 404)
    as_problem(api.get("/api/nothing/"), 404)
    as_problem(api.get("/api/events/no-uuid/"), 404)
    as_problem(api.delete("/api/events/"), 405)
    as_problem(api.get("/api/events/", headers={"Accept": "image/png"}), 406)
    as_problem(api.post(HISTORY, b"x", content_type="text/csv"), 415)
    as_problem(api.post(HISTORY, b"{", content_type="application/json"), 400)
    bad_token = APIClient(headers={"Authorization": "Token nonsense"})
    assert as_problem(bad_token.get("/api/events/"), 401)["detail"]
    as_problem(api.get("/api/events/", headers={"Host": "elsewhere.example"}), 400)


@pytest.mark.parametrize("detail", ["no", ["no"], {"token": ["no"]}, {"detail": "no", "code": 1}, {}])
def test_errors_of_the_project_s_authentication_may_have_any_form(detail: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Authentication(BaseAuthentication):
        def authenticate(self, request: Any) -> None:
            raise ValidationError(detail)

    monkeypatch.setattr(StoreView, "authentication_classes", [Authentication])
    assert "no" in as_problem(APIClient().get("/api/events/"), 400)["detail"] or not detail


def test_people_with_a_browser_get_pages(client: Any) -> None:
    for path in ("/api/nothing/", "/nothing/"):
        response = client.get(path, headers={"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"})
        assert (response.status_code, response.headers["Content-Type"]) == (404, "text/html; charset=utf-8")


def test_server_error_is_a_problem_too(api: APIClient, store: EventStore) -> None:
    def fail(**kwargs: Any) -> None:
        raise RuntimeError("secret detail")

    store.subscribe("A", fail)
    api.raise_request_exception = False
    response = api.post(HISTORY, {"type": "A"}, format="json")
    assert "secret" not in json.dumps(as_problem(response, 500))
    assert stored() == []


class OutOfStock(Rejected):
    status = 422


@pytest.mark.parametrize(
    ("error", "status", "facts"),
    [
        (
            Rejected("none left", code="out-of-stock", data={"left": [0]}),
            409,
            ("none left", "out-of-stock", {"left": [0]}),
        ),
        (OutOfStock(), 422, ("the event was rejected", None, None)),
    ],
)
def test_rejection_by_a_subscriber_is_a_problem(
    api: APIClient, store: EventStore, error: Rejected, status: int, facts: tuple[Any, ...]
) -> None:
    def reject(**kwargs: Any) -> None:
        raise error

    store.subscribe("B", reject)
    problem = as_problem(append(api, [{"type": "A"}, {"type": "B"}]), status)
    assert (problem["type"], problem["index"]) == ("/api/problems/rejected/", 1)
    assert (problem["detail"], problem["code"], problem["data"]) == facts
    assert api.get(problem["type"]).status_code == 200
    assert stored() == []


@pytest.mark.parametrize(
    "error",
    [
        VersionConflict([Conflict("secret-1", 1, 7)]),
        InvalidEvent("data.secret", "is secret"),
        DuplicateEvent(None, "secret-1", "secret"),
        DispatchTooDeep("secret"),
        Http404("secret"),
        DjangoPermissionDenied("secret"),
        SuspiciousOperation("secret"),
        ValidationError({"secret": ["secret"]}),
    ],
)
@pytest.mark.parametrize("path", [HISTORY, "/api/events/", "/own/"])
def test_errors_of_subscribers_are_server_errors(
    api: APIClient, store: EventStore, error: Exception, path: str, caplog: Any, own_view: None
) -> None:
    def fail(**kwargs: Any) -> None:
        raise error

    store.subscribe("A", fail)
    api.raise_request_exception = False
    response = api.post(path, {"aggregate_id": "a-1", "type": "A"}, format="json")
    assert "secret" not in json.dumps(as_problem(response, 500))
    (record,) = (each for each in caplog.records if each.name == "django.request")
    assert record.exc_info[1].__cause__ is error
    assert stored() == []


def test_views_of_the_project_answer_with_problems(api: APIClient, store: EventStore, own_view: None) -> None:
    def reject(**kwargs: Any) -> None:
        raise Rejected("none left", data={"left": 0})

    store.subscribe("B", reject)
    problem = as_problem(api.post("/own/", {"aggregate_id": "a-1", "type": "B"}), 409)
    assert (problem["detail"], problem["data"]) == ("none left", {"left": 0})
    assert as_problem(api.post("/own/", {"aggregate_id": "", "type": "A"}), 400)["field"] == "aggregate_id"
    assert api.post("/own/", {}).json() == {"type": ["missing"]}  # as REST framework has it
    page = api.post("/own/", {"aggregate_id": "a-1", "type": "B"}, headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["Content-Type"]) == (409, "text/html; charset=utf-8")


def test_views_of_the_project_need_no_urls_of_the_interface(api: APIClient, own_view: None) -> None:
    with override_settings(ROOT_URLCONF=__name__):
        problem = as_problem(api.post("/own/", {"aggregate_id": "", "type": "A"}), 400)
    assert problem["type"] == "tag:events,problems/invalid"


class OwnView(APIView):
    """A view of a project, with the settings of that project."""

    renderer_classes = [JSONRenderer, BrowsableAPIRenderer]

    def get_exception_handler(self) -> Any:
        return problems.exception_handler

    def post(self, request: Any) -> Response:
        if "type" not in request.data:
            raise ValidationError({"type": ["missing"]})
        EventStore().dispatch(new(request.data["aggregate_id"], request.data["type"]))
        return Response()


urlpatterns = [route("own/", OwnView.as_view())]


@pytest.fixture
def own_view(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(urls, "urlpatterns", [*urls.urlpatterns, *urlpatterns])
    clear_url_caches()
    yield
    clear_url_caches()


HOSTILE: list[bytes] = [
    b"",
    b"\0",
    b"null",
    b"\xff\xfe{}",
    b'{"type": "A", "data": {"a": "\xff"}}',
    b'{"type": "A", "data": {"a": "\\u0000"}}',
    b'{"type": "A", "data": {"a": "\\ud800"}}',
    b'{"type": "A\\ud800"}',
    b'{"\\u0000": 1, "type": "A"}',
    b'{"type": "A", "data": ' + b'{"a":' * 300 + b"1" + b"}" * 301,
    b'{"type": "A", "data": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    b"[" * 2_000_000,
    b'{"type": "A", "data": {"n": ' + b"9" * 5_000 + b"}}",
    b'{"type": "A", "data": {"n": 1e999}}',
    b'{"type": "A", "data": {"n": -Infinity}}',
    b'{"type": "A", "data": {"n": NaN}}',
    b'{"type": "A", "expected_version": 1e3}',
    b'{"type": "A", "expected_version": 99999999999999999999}',
    b'{"type": "A", "metadata": {"correlation_id": "' + b"x" * 300 + b'"}}',
    b'{"type": "' + b"x" * 300 + b'"}',
    b'{"type": "A", "timestamp": "9999-12-31T23:59:59-12:00"}',
    b'{"type": "A", "timestamp": "0001-01-01T00:00:00+14:00"}',
    b'{"type": "A", "data": {"a": "' + b"x" * 2_000_000 + b'"}}',
    b'{"type": "A", "data": {"a": "' + b"x" * 5_000_000 + b'"}}',
    b"a=1&b=2",
    b"<event/>",
]


@pytest.mark.parametrize("body", HOSTILE, ids=lambda body: repr(body[:40]))
@pytest.mark.parametrize(
    "kind",
    [
        "application/json",
        "application/json; charset=utf-16",
        "application/cloudevents+json",
        "application/cloudevents-batch+json",
        "application/x-ndjson",
        "text/plain",
        "multipart/form-data; boundary=x",
        "nonsense",
    ],
)
def test_hostile_bodies_are_rejected_and_nothing_is_stored(api: APIClient, body: bytes, kind: str) -> None:
    for path in (HISTORY, "/api/events/", "/api/events/import/"):
        response = api.generic("POST", path, body, content_type=kind)
        if response.status_code == 200:  # an import of no lines, or of none but empty ones
            assert response.json() == {"stored": 0, "known": 0}
        else:
            assert 400 <= response.status_code < 500
            assert response.headers["Content-Type"] == PROBLEM
    assert stored() == []


@pytest.mark.parametrize("path", [HISTORY, "/api/events/"])
def test_duplicate_name_in_an_object_is_rejected(api: APIClient, path: str) -> None:
    for body in (
        b'{"aggregate_id": "a-1", "type": "A", "type": "B"}',
        b'{"aggregate_id": "a-1", "type": "A", "data": {"n": 1, "n": 2}}',
        b'{"events": [], "events": [{"aggregate_id": "a-1", "type": "A"}]}',
    ):
        problem = as_problem(api.post(path, body, content_type="application/json"), 400)
        assert "twice" in problem["detail"]
        lines = api.post("/api/events/import/", body, content_type="application/x-ndjson")
        assert as_problem(lines, 400)["line"] == 1
    assert stored() == []


@pytest.mark.django_db(transaction=True)
def test_a_hundred_megabytes_are_rejected(asgi_server: Any, admin_user: Any) -> None:
    import httpx

    def body() -> Any:
        yield b'{"type": "A", "data": {"a": "'
        for _ in range(100):
            yield b"x" * 1_000_000
        yield b'"}}'

    headers = {"Authorization": f"Token {Token.objects.create(user=admin_user).key}"}
    for path, kind in ((HISTORY, "application/json"), ("/api/events/import/", "application/x-ndjson")):
        response = httpx.post(
            asgi_server.url + path, content=body(), headers={**headers, "Content-Type": kind}, timeout=60
        )
        as_problem(response, 413 if path == HISTORY else 400)
    assert stored() == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=15,
)


FIELDS = ["aggregate_id", "type", "data", "metadata", "timestamp", "event_id", "events", "expected_version", "subject"]


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=json_values | st.dictionaries(st.sampled_from(FIELDS), json_values),
    path=st.sampled_from([HISTORY, "/api/events/", "/api/events/import/"]),
    kind=st.sampled_from(["application/json", "application/cloudevents+json", "application/x-ndjson"]),
)
def test_any_json_gets_an_answer(api: APIClient, content: Any, path: str, kind: str) -> None:
    before = stored()
    response = api.generic("POST", path, json.dumps(content), content_type=kind)
    assert response.status_code < 500
    if response.status_code >= 400:
        assert response.headers["Content-Type"] == PROBLEM
        assert stored() == before


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    headers=st.dictionaries(
        st.sampled_from(
            ["If-Match", "If-None-Match", "Idempotency-Key", "Accept", "Last-Event-ID", "Content-Encoding"]
        ),
        st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=300),
    )
)
def test_any_header_gets_an_answer(api: APIClient, headers: dict[str, str]) -> None:
    for response in (
        api.get(HISTORY, headers=headers),
        api.get("/api/events/stream/", headers=headers),
        api.post(HISTORY, {"type": "A"}, format="json", headers=headers),
    ):
        assert response.status_code < 500 or response.status_code == 501


UUIDS_OF_ONE_HASH = (UUID(int=5 + n * (2**61 - 1)) for n in range(9_000))

# Bodies of up to a number of bytes: their parts are repeated as often as there is room, {n} is the number.
LARGE = {
    "a name twice": ('{"type": "A", "data": {', '"k{n}": 1, ', '"z": 1, "z": 2}}'),
    "the last name twice": ('{"type": "A", "data": {"z": 1, ', '"k{n}": 1, ', '"z": 2}}'),
    "an event's field twice": ('{"type": "A", ', '"k{n}": 1, ', '"type": "B"}'),
    "long integers": ('{"type": "A", "data": {"e": "1e1", "n": [', "9" * 4300 + ", ", "1]}}"),
    "long decimals": ('{"type": "A", "data": {"n": [', "1." + "0" * 4300 + "1, ", "1e22]}}"),
    "a decimal": ('{"type": "A", "data": {"n": 0.', "1" * 100, "e1}}"),
    "an integer": ('{"type": "A", "data": {"n": ', "1" * 100, "}}"),
    "a long name over many values": (
        '{"type": "A", "data": {"big": 1' + "0" * 40 + ', "' + "k" * 400_000 + '": [', "1,", "1]}}"
    ),
    "many values": ('{"type": "A", "data": {"n": [', "[],", "1]}}"),
    "deep lists": ('{"type": "A", "data": {"n": ', "[" * 100, "}}"),
    "backslashes": ('{"type": "A", "data": {"e": 1e22, "n": "', "\\\\\\" * 2, '"}}'),
    "brackets": ("", "[{", ""),
    "spaces": ('{"type": "A"', " " * 100, "}"),
    "a time": ('{"type": "A", "timestamp": "', "1" * 100, '"}'),
    "an id": ('{"type": "A", "event_id": "', "1" * 100, '"}'),
    "unknown fields": ('{"type": "A"', ', "k{n}": 1', "}"),
    "expectations": ('{"events": [{"type": "A"}], "expected_version": {"a": 0', ', "k{n}": 0', "}}"),
    "events": ('[{"type": "A"}', ', {"type": "A"}', "]"),
    "ids of one hash": (
        '{"expected_version": 7, "events": [{"type": "A"}',
        ', {"type": "A", "aggregate_id": "a-1", "event_id": "{uuid}"}',
        "]}",
    ),
    "attributes": ('{"specversion": "1.0", "id": "1", "source": "/s", "type": "A"', ', "k{n}": 1', "}"),
    "a source": ('{"specversion": "1.0", "id": "1", "type": "A", "source": "', "/a:@%41" * 10, ' "}'),
    "a media type": (
        '{"specversion": "1.0", "id": "1", "source": "/s", "type": "A", "datacontenttype": "a/json', "a+ ;" * 10, '"}'
    ),
}  # fmt: skip
BODIES_UP_TO_THE_LIMIT = "FUZZ_EXAMPLES" in os.environ


@pytest.mark.parametrize("name", LARGE)
def test_time_is_bounded_for_bodies_up_to_the_limit(api: APIClient, name: str) -> None:
    before, part, after = LARGE[name]
    size, seconds = (2_600_000, 6) if BODIES_UP_TO_THE_LIMIT else (400_000, 2)
    kind = "application/cloudevents+json" if "specversion" in before else "application/json"
    room = size - len(before) - len(after)
    uuids = iter(UUIDS_OF_ONE_HASH)
    parts = []
    while room > 0 and (uuid := next(uuids, None) if "{uuid}" in part else "-"):
        parts.append(part.replace("{n}", str(len(parts))).replace("{uuid}", str(uuid)))
        room -= len(parts[-1])
    body = before + "".join(parts) + after
    for path in (HISTORY, "/api/events/", "/api/events/import/"):
        started = time.process_time()
        response = api.generic("POST", path, body, content_type="application/x-ndjson" if "import" in path else kind)
        taken = time.process_time() - started
        assert response.status_code < 500, response.content[:300]
        assert taken < seconds, path


def test_conflict_holds_every_fact(api: APIClient, store: EventStore) -> None:
    store.dispatch(new())
    problem = as_problem(api.post(HISTORY, {"type": "A", "expected_version": 0}, format="json"), 409)
    assert problem["detail"] == "'a-1' was expected at version 0 but is at version 1"
    assert (problem["aggregate_id"], problem["expected"], problem["actual"]) == ("a-1", 0, 1)
