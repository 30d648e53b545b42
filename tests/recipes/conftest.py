"""A project that follows docs/recipes.md, and the servers that its recipes talk to."""

import email.policy
import json
import shutil
import socket
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import django
import pytest
from aiosmtpd.controller import Controller
from redis import Redis
from redis.exceptions import ConnectionError as NoConnection

from tests import ROOT
from tests.ownproject import OwnProject, empty_databases, snippets
from tests.support import Wait

APPS = ("deliveries", "labels", "letters", "invoices", "boards")
SETTINGS = """
import os

INSTALLED_APPS += ["deliveries", "labels", "letters", "invoices", "boards"]
PROJECTIONS_RETRY_DELAYS_SECONDS = [0.01]
CHANNEL_LAYERS = {
    "default": {
        "BACKEND": "channels_redis.core.RedisChannelLayer",
        "CONFIG": {"hosts": [os.environ.get("REDIS_URL", "")]},
    }
}
INVOICES_URL = os.environ.get("INVOICES_URL")
EMAIL_HOST, EMAIL_PORT, EMAIL_TIMEOUT = "127.0.0.1", int(os.environ.get("SMTP_PORT", 1)), 10
"""
# What the scripts of the tests begin with. Each recipe handles the events of its own test only.
PRELUDE = """
import json, time
from django.utils import timezone
from events.store import EventStore
from events.types import NewEvent
from projections import registry
from projections.models import Checkpoint, ParkedEvent
from projections.reactions import moving
from projections.workers.worker import Until, Worker

store = EventStore()

def run(name, until=Until.CAUGHT_UP):
    Checkpoint.objects.filter(projection=name).update(next_attempt_at=None)  # the pause is over
    Worker([registry.get(name)], until=until).run()

def run_again(name, order):
    position = next(each.position for each in store.read_all(types=["OrderPaid"]) if each.aggregate_id == order)
    moving.rewind(name, position, by="x")
    run(name)

def wait(condition):
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)

def state_of(name):
    held = Checkpoint.objects.get(projection=name)
    return {"away": held.unavailable_since is not None, "attempts": held.attempts, "error": held.error,
            "pause": held.next_attempt_at and (held.next_attempt_at - timezone.now()).total_seconds(),
            "parked": list(ParkedEvent.objects.filter(projection=name).values_list("aggregate_id", "error"))}

def stored(event_type):
    return [[each.aggregate_id, each.data, each.metadata] for each in store.read_all(types=[event_type])]
"""


class RecipesProject(OwnProject):
    """A project with all recipes."""

    def follow(self) -> None:
        for app in APPS:
            self.append(f"{app}/__init__.py", "")
        self.append("shop/settings.py", SETTINGS)
        for block in snippets(ROOT / "docs/recipes.md", "python"):
            head, _, code = block.partition("\n")
            if django.VERSION >= (6, 0):  # as the comments in the blocks say
                code = code.replace('["django_tasks", ', "[").replace("from django_tasks", "from django.tasks")
            self.append("shop/settings.py" if head == "# settings" else head.removeprefix("# "), code)
        (guide,) = [each for each in snippets(ROOT / "docs/reactions.md", "python") if "class Receipts" in each]
        imports = "from projections.base import handles\nfrom projections.reactions import Actions, Reaction\n"
        imports += "from projections.registry import register\n"
        self.append("letters/reactions.py", f"{imports}{guide}")
        self.manage("migrate")

    def script(self, code: str, **environment: str) -> Any:
        """Run code in the project; return what it prints, as JSON."""
        said = self.manage("shell", "--no-imports", "-c", f"{PRELUDE}\n{code}", **environment)
        return json.loads(said) if said else None


@pytest.fixture(scope="module")
def recipes(
    tmp_path_factory: pytest.TempPathFactory, django_db_setup: None, django_db_blocker: Any
) -> Iterator[RecipesProject]:
    with django_db_blocker.unblock(), empty_databases("recipes") as settings:
        project = RecipesProject(tmp_path_factory.mktemp("recipes"), settings)
        project.environment["CELERY_BROKER_URL"] = "redis+socket:///nowhere"
        project.follow()
        yield project


class RedisServer:
    """A Redis of this test, on a socket in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self._socket = folder / "redis"
        self.environment = {
            "CELERY_BROKER_URL": f"redis+socket://{self._socket}",
            "REDIS_URL": f"unix://{self._socket}",
        }

    def start(self) -> None:
        options = ["--port", "0", "--unixsocket", self._socket, "--save", ""]
        self._process = subprocess.Popen(["redis-server", *options], stdout=subprocess.DEVNULL)
        Wait.until(self._answers, what="Redis")

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait()

    def client(self) -> Redis:
        return Redis(unix_socket_path=str(self._socket))

    def _answers(self) -> bool:
        try:
            with self.client() as client:
                return bool(client.ping())
        except NoConnection:
            return False


@pytest.fixture
def redis_server() -> Iterator[RedisServer]:
    """Redis, which is not started yet; at the end it is stopped."""
    if shutil.which("redis-server") is None:
        pytest.skip("redis-server is not installed: apt-get install redis-server")
    with tempfile.TemporaryDirectory(prefix="redis-") as folder:
        server = RedisServer(Path(folder))
        yield server
        server.stop()


class Mailbox:
    """A mail server that rejects some addresses."""

    def __init__(self) -> None:
        self.messages: list[Message] = []

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802
        if address.startswith("nobody"):
            return "550 no such mailbox"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        self.messages.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 OK"


class MailServer(Controller):
    def __init__(self) -> None:
        self.mailbox = Mailbox()
        with socket.create_server(("127.0.0.1", 0)) as free:
            super().__init__(self.mailbox, hostname="127.0.0.1", port=free.getsockname()[1])


class InvoicingService(ThreadingHTTPServer):
    """A service that writes one invoice for each key, and may be busy."""

    def __init__(self) -> None:
        self.invoices: dict[str, int] = {}
        self.calls = 0
        self.is_busy = False
        super().__init__(("127.0.0.1", 0), _Invoicing)
        self.url = f"http://127.0.0.1:{self.server_address[1]}/"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class _Invoicing(BaseHTTPRequestHandler):
    server: InvoicingService

    def do_POST(self) -> None:
        service, order = self.server, json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        service.calls += 1
        if service.is_busy:
            self._answer(503, {}, **{"Retry-After": "7"})
        elif "address" not in order:
            self._answer(422, {"error": "no address"})
        else:
            number = service.invoices.setdefault(self.headers["Idempotency-Key"], 100 + len(service.invoices))
            self._answer(200, {"number": number})

    def _answer(self, status: int, body: Any, **headers: str) -> None:
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(text))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture
def invoicing() -> Iterator[InvoicingService]:
    service = InvoicingService()
    yield service
    service.shutdown()
    service.server_close()
