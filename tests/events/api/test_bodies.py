"""Bodies in chunks: read to their end or rejected, behind each kind of server."""

import http.client
import importlib.util
import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BytesIO
from typing import Any
from urllib.parse import urlsplit
from wsgiref.simple_server import WSGIRequestHandler, make_server

import pytest
from django.core.wsgi import get_wsgi_application
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from events.models import Event
from tests.support import AsgiServer, Background, Wait, process_on_test_database, stored

IMPORT, NDJSON = "/api/events/import/", "application/x-ndjson"
LINES = [json.dumps({"aggregate_id": f"a-{n}", "type": "A", "data": {"n": n}}).encode() + b"\n" for n in range(5)]
CLOUDEVENT = {"specversion": "1.0", "id": "1", "source": "/x", "type": "A", "subject": "c-1"}
# Each address that reads a body, with a body that it accepts.
BODIES = [
    (IMPORT, NDJSON, b"".join(LINES), 200),
    ("/api/events/", "application/json", b'{"events": [{"aggregate_id": "a-1", "type": "A"}]}', 201),
    ("/api/aggregates/a-1/events/", "application/json", b'{"type": "A"}', 201),
    ("/api/events/", "application/cloudevents+json", json.dumps(CLOUDEVENT).encode(), 201),
    ("/api/events/", "application/cloudevents-batch+json", json.dumps([{**CLOUDEVENT, "id": "2"}]).encode(), 201),
]


@contextmanager
def wsgiref() -> Iterator[str]:
    """The server behind `runserver`: it passes on the connection itself, whose end it does not know."""

    class Silent(WSGIRequestHandler):
        def log_message(self, *args: Any) -> None:
            pass

    with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Silent) as server:
        with Background(server.serve_forever):
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()


@contextmanager
def gunicorn() -> Iterator[str]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"127.0.0.1:{free.getsockname()[1]}"
    process = process_on_test_database("-m", "gunicorn", "eventstore_project.wsgi", "--bind", address, "--threads", "2")
    output: list[str] = []
    reader = threading.Thread(target=lambda: output.extend(process.stdout or ()))
    reader.start()
    try:
        Wait.until(lambda: any("Booting worker" in line for line in output), timeout_seconds=60)
        yield f"http://{address}"
    finally:
        process.terminate()
        process.wait(30)
        reader.join()
        process.__exit__(None, None, None)


@contextmanager
def uvicorn() -> Iterator[str]:
    with AsgiServer() as server:
        yield server.url


has_gunicorn = pytest.mark.skipif(importlib.util.find_spec("gunicorn") is None, reason="gunicorn is not installed")
READING = [pytest.param(gunicorn, marks=has_gunicorn), uvicorn]


def send(url: str, path: str, kind: str, body: Any, token: str, **headers: str) -> tuple[int, Any]:
    """Send a body; in chunks if it is an iterator."""
    connection = http.client.HTTPConnection(urlsplit(url).netloc, timeout=60)
    try:
        headers = {"Content-Type": kind, "Authorization": f"Token {token}", "Accept": "application/json", **headers}
        connection.request("POST", path, body, headers)
        response = connection.getresponse()
        return response.status, json.loads(response.read())
    finally:
        connection.close()


def in_chunks(body: bytes) -> Iterator[bytes]:
    return (body[start : start + 7] for start in range(0, len(body), 7))


@pytest.fixture
def token(transactional_db: None, admin_user: Any) -> str:
    return str(Token.objects.create(user=admin_user).key)


@pytest.mark.parametrize("server", READING)
def test_body_in_chunks_is_read_to_its_end_or_rejected(token: str, server: Callable[[], Any]) -> None:
    with server() as url:
        for path, kind, body, status in BODIES:
            before = Event.objects.count()
            answer = send(url, path, kind, in_chunks(body), token)
            assert (answer[0], Event.objects.count() - before) == (status, 5 if path == IMPORT else status - 200), (
                answer
            )
        assert send(url, IMPORT, NDJSON, in_chunks(b"".join(LINES)), token)[1] == {"stored": 0, "known": 5}
        for body in (in_chunks(b""), b"", in_chunks(b"\n \n")):
            status, problem = send(url, IMPORT, NDJSON, body, token)
            assert (status, problem["field"]) == (400, "body")
        too_large = (b'{"aggregate_id": "a-1", "type": "' + b"x" * 3_000_000 for _ in range(1))
        assert send(url, "/api/events/", "application/json", too_large, token)[0] == 413
        for framing in (
            f"Transfer-Encoding: chunked\r\n\r\n{len(LINES[0]):x}",
            f"Content-Length: {2 * len(LINES[0])}\r\n",
        ):
            assert b" 200 " not in break_off(url, framing, token)


def break_off(url: str, framing: str, token: str) -> bytes:
    """Close one half of the connection behind the first line of a longer import; return the status of the response."""
    head = f"POST {IMPORT} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Token {token}\r\nContent-Type: {NDJSON}\r\n"
    with socket.create_connection(("127.0.0.1", urlsplit(url).port or 0), 20) as client:
        client.sendall(f"{head}{framing}\r\n".encode() + LINES[0])
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as answer:
            return answer.readline()


def test_server_that_does_not_know_the_end_rejects_chunks(token: str) -> None:
    with wsgiref() as url:
        for path, kind, body, _ in BODIES:
            with suppress(BrokenPipeError):
                answer, problem = send(url, path, kind, in_chunks(body), token)
                assert (answer, problem["status"]) == (411, 411)
                assert "Content-Length" in problem["detail"]
            assert stored() == []
        for path, kind, body, status in BODIES:
            assert send(url, path, kind, body, token)[0] == status
        assert send(url, IMPORT, NDJSON, b"", token)[0] == 400


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("environ", "status"),
    [
        ({"wsgi.input_terminated": True}, 200),
        ({"wsgi.input_terminated": True, "CONTENT_LENGTH": "nonsense"}, 200),
        ({"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked"}, 200),
        # Transfer-Encoding overrides Content-Length (RFC 9112, section 6.3).
        ({"wsgi.input_terminated": True, "HTTP_TRANSFER_ENCODING": "chunked", "CONTENT_LENGTH": "3"}, 200),
        ({"HTTP_TRANSFER_ENCODING": "chunked"}, 411),
        ({"HTTP_TRANSFER_ENCODING": "gzip, chunked", "CONTENT_LENGTH": "nonsense"}, 411),
        ({}, 400),  # without both headers, a request has no body
    ],
)
def test_length_of_the_body_is_what_the_server_says(api: APIClient, environ: dict[str, Any], status: int) -> None:
    unmeasured = {"CONTENT_LENGTH": "", "wsgi.input": BytesIO(b"".join(LINES)), **environ}
    response = api.generic("POST", IMPORT, "", content_type=NDJSON, **unmeasured)
    assert response.status_code == status
    assert len(stored()) == (5 if status == 200 else 0)
