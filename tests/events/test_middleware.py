"""The middleware: what the events of a request carry, and what no request can make them carry."""

import asyncio
import json
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.contrib.auth import login
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.test import AsyncClient, Client
from django.urls import include, path
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from events.context import captured, current_context
from events.middleware import EventContextMiddleware
from events.store import EventStore
from tests.events.api.support import append
from tests.events.support import ADD, form_of
from tests.support import AsgiServer, new, stored

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ME = "events.middleware.EventContextMiddleware"


def dispatching(request: HttpRequest) -> JsonResponse:
    (event,) = EventStore().dispatch(new())
    return JsonResponse(event.metadata)


def logging_in(request: HttpRequest) -> JsonResponse:
    login(request, User.objects.get(), backend="django.contrib.auth.backends.ModelBackend")
    return dispatching(request)


def failing(request: HttpRequest) -> HttpResponse:
    raise LookupError


meeting: asyncio.Barrier | None = None


async def meeting_others(request: HttpRequest) -> JsonResponse:
    """Dispatch while the other requests are in the view as well."""
    assert meeting is not None
    await meeting.wait()
    (event,) = await EventStore().adispatch(new(request.headers["X-Request-ID"]))
    await meeting.wait()
    return JsonResponse(event.metadata)


async def showing_the_context(request: HttpRequest) -> JsonResponse:
    return JsonResponse(await sync_to_async(current_context)())


urlpatterns = [
    path("showing-the-context/", showing_the_context),
    path("dispatching/", dispatching),
    path("logging-in/", logging_in),
    path("failing/", failing),
    path("meeting/", meeting_others),
    path("", include("eventstore_project.urls")),
]


@pytest.fixture(autouse=True)
def installed(settings: Any) -> Iterator[None]:
    settings.MIDDLEWARE = [ME, *settings.MIDDLEWARE]
    settings.ROOT_URLCONF = __name__
    yield
    assert captured() is None


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"X-Correlation-ID": "order 17"}, None),
        ({"X-Correlation-ID": "order-17"}, "order-17"),
        ({"X-Correlation-ID": " order-17 "}, "order-17"),
        ({"X-Correlation-ID": "c" * 255, "X-Request-ID": "r"}, "c" * 255),
        ({"X-Correlation-ID": "c" * 256, "X-Request-ID": "r"}, "r"),
        ({"X-Correlation-ID": "", "X-Request-ID": "r", "traceparent": TRACE}, "r"),
        ({"X-Correlation-ID": "a,b"}, None),  # two headers arrive like this
        ({"X-Correlation-ID": "a\r\nSet-Cookie: x=1"}, None),
        ({"X-Correlation-ID": "a\0"}, None),
        ({"X-Correlation-ID": "ü"}, None),
        ({"X-Correlation-ID": "\ud800"}, None),
        ({"traceparent": TRACE}, TRACE[3:35]),
        ({"traceparent": f"{TRACE},{TRACE}"}, None),
        ({"traceparent": "00-" + "0" * 32 + TRACE[35:]}, None),
        ({}, None),
    ],
)
def test_correlation_id_is_that_of_the_request_or_a_new_one(headers: dict[str, str], expected: str | None) -> None:
    response = Client().get("/dispatching/", headers=headers)
    metadata = response.json()
    assert response.headers["X-Correlation-ID"] == metadata["correlation_id"]
    assert metadata.get("traceparent") == (TRACE if headers.get("traceparent") == TRACE else None)
    if expected is None:
        assert UUID(metadata["correlation_id"]).version == 7
    else:
        assert metadata["correlation_id"] == expected


@pytest.mark.django_db
@pytest.mark.parametrize("place", ["first", "last"])
def test_user_is_the_one_at_the_moment_of_the_dispatch(
    settings: Any, make_user: Callable[..., User], place: str
) -> None:
    """It makes no difference where the middleware is: `request.user` is read when an event is dispatched."""
    if place == "last":
        settings.MIDDLEWARE = [*settings.MIDDLEWARE[1:], ME]
    user, client = make_user(), Client()
    assert "user" not in client.get("/dispatching/").json()
    assert client.get("/logging-in/").json()["user"] == str(user.pk)
    assert client.get("/dispatching/").json()["user"] == str(user.pk)


@pytest.mark.parametrize("user", [None, SimpleNamespace(), SimpleNamespace(pk=None), SimpleNamespace(id=5)])
@pytest.mark.django_db
def test_users_without_a_primary_key_are_no_user(rf: Any, user: Any) -> None:
    request = rf.get("/")
    request.user = user
    assert b"user" not in EventContextMiddleware(dispatching)(request).content  # type: ignore[union-attr]


@pytest.mark.django_db
def test_every_response_has_the_correlation_id() -> None:
    client = Client(raise_request_exception=False, headers={"X-Correlation-ID": "c"})
    for address, status in (("/nowhere/", 404), ("/failing/", 500), ("/api/events/", 401)):
        response = client.get(address)
        assert (response.status_code, response.headers["X-Correlation-ID"]) == (status, "c")


# Over HTTP


FORGED = {"user": "1000", "correlation_id": "forged", "traceparent": TRACE.replace("0", "1"), "channel": "web"}
CLOUDEVENT = {"specversion": "1.0", "id": "1", "source": "/x", "type": "A", "correlationid": "forged", "data": {}}


@pytest.mark.django_db
def test_body_cannot_forge_the_context(make_user: Callable[..., User], store: EventStore) -> None:
    """The user is that of REST framework's token, which only the view knows."""
    user = make_user("events.add_event", "events.view_event")
    token = Token.objects.create(user=user).key
    api = APIClient(headers={"Authorization": f"Token {token}", "X-Request-ID": "r-1", "traceparent": TRACE})
    stamped = {"user": str(user.pk), "correlation_id": "r-1", "traceparent": TRACE}
    batch = {"events": [{"aggregate_id": "a-1", "type": "A", "metadata": FORGED}, {"aggregate_id": "b-1", "type": "B"}]}
    assert append(api, {"type": "A", "metadata": FORGED}, "c-1").status_code == 201
    assert api.post("/api/events/", batch, format="json").status_code == 201
    metadata = '{"user": "1000", "channel": "web"}'
    cloudevent = CLOUDEVENT | {"subject": "d-1", "eventmetadata": metadata}
    response = api.generic("POST", "/api/events/", json.dumps(cloudevent), "application/cloudevents+json")
    assert response.status_code == 201, response.content
    found = {event.aggregate_id: event.metadata for event in store.read_all()}
    assert found["a-1"] == found["c-1"] == stamped | {"channel": "web"}
    assert found["b-1"] == stamped
    assert {key: found["d-1"].get(key) for key in stamped} == stamped
    assert append(api, {"type": "A", "metadata": [1]}).json()["field"] == "metadata"


@pytest.mark.django_db
def test_request_without_a_user_names_none(api: APIClient) -> None:
    user = SimpleNamespace(pk=None, is_authenticated=True, has_perm=lambda name: True)
    api.force_authenticate(user)  # type: ignore[arg-type]
    metadata = append(api, {"type": "A", "metadata": FORGED}).json()["events"][0]["metadata"]
    assert "user" not in metadata
    assert (metadata["traceparent"], metadata["channel"]) == (FORGED["traceparent"], "web")  # the request has no trace


@pytest.mark.django_db
def test_form_of_the_admin_cannot_forge_the_context(staff: Client, store: EventStore) -> None:
    form = form_of(staff, "order-1") | {"metadata": '{"actor": "ann", "user": "1000", "correlation_id": "forged"}'}
    assert staff.post(ADD, form, headers={"X-Request-ID": "r-1"}).status_code == 302
    (event,) = store.get_events_for_aggregate("order-1")
    assert event.metadata == {"actor": "ann", "user": str(User.objects.get().pk), "correlation_id": "r-1"}


@pytest.mark.django_db
def test_repeated_request_is_a_retry_whatever_its_context(api: APIClient) -> None:
    """The metadata that a client states must be equal, as without the middleware."""
    bodies = [{"type": "A", "metadata": {"n": 1, "correlation_id": name}} for name in ("x", "y")]
    first = append(api, bodies[0], **{"Idempotency-Key": "k", "X-Request-ID": "r-1", "traceparent": TRACE})
    again = append(api, bodies[1], **{"Idempotency-Key": "k", "X-Request-ID": "r-2"})
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json() == again.json()
    assert first.json()["events"][0]["metadata"]["correlation_id"] == "r-1"
    assert again.headers["X-Correlation-ID"] == "r-2"
    reused = append(api, {"type": "A", "metadata": {"n": 2}}, **{"Idempotency-Key": "k"})
    assert reused.status_code == 422
    assert stored() == [("a-1", 1)]


@pytest.mark.django_db
def test_without_the_middleware_a_body_says_what_it_likes(api: APIClient, settings: Any) -> None:
    settings.MIDDLEWARE = settings.MIDDLEWARE[1:]
    first = append(api, {"type": "A", "metadata": FORGED}, **{"Idempotency-Key": "k", "X-Request-ID": "r-1"})
    assert first.json()["events"][0]["metadata"] == FORGED
    assert "X-Correlation-ID" not in first.headers
    other = append(api, {"type": "A", "metadata": FORGED | {"user": "2"}}, **{"Idempotency-Key": "k"})
    assert other.status_code == 422


# At once


@pytest.mark.django_db
def test_requests_at_the_same_time_in_one_loop_do_not_mix() -> None:
    async def ask(name: str) -> dict[str, Any]:
        response = await AsyncClient().get("/meeting/", headers={"X-Request-ID": name})
        return {**response.json(), "header": response.headers["X-Correlation-ID"]}

    async def run() -> list[dict[str, Any]]:
        global meeting
        meeting = asyncio.Barrier(5)
        return await asyncio.gather(*[ask(f"r-{number}") for number in range(5)])

    names = [f"r-{number}" for number in range(5)]
    assert async_to_sync(run)() == [{"correlation_id": name, "header": name} for name in names]


@pytest.mark.django_db(transaction=True)
def test_requests_at_the_same_time_to_a_server_do_not_mix(
    asgi_server: AsgiServer, make_user: Callable[..., User], store: EventStore
) -> None:
    """Sync views behind uvicorn, of two users."""
    users = [make_user("events.add_event") for _ in range(2)]
    tokens = {str(user.pk): Token.objects.create(user=user).key for user in users}
    number = 30

    async def run() -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=asgi_server.url, timeout=30) as client:
            return await asyncio.gather(
                *[
                    client.post(
                        f"/api/aggregates/{user}-{n}/events/",
                        json={"type": "A"},
                        headers={"Authorization": f"Token {token}", "X-Request-ID": f"r-{user}-{n}"},
                    )
                    for n in range(number)
                    for user, token in tokens.items()
                ]
            )

    assert {response.status_code for response in asyncio.run(run())} == {201}
    found = {event.aggregate_id: event.metadata for event in store.read_all()}
    assert found == {
        f"{user}-{n}": {"user": user, "correlation_id": f"r-{user}-{n}"} for user in tokens for n in range(number)
    }


@pytest.mark.django_db
def test_context_of_an_async_view_has_the_user_of_the_session(make_user: Callable[..., User]) -> None:
    user, client = make_user(), AsyncClient()
    client.force_login(user)
    response = async_to_sync(client.get)("/showing-the-context/", headers={"X-Request-ID": "r-1"})
    assert response.json() == {"correlation_id": "r-1", "user": str(user.pk)}
