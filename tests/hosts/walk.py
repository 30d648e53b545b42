"""What the test of other projects runs inside each of them: every page, every operation, every command.

It prints a line for each fault, and how many it tried.
"""

import json
import re
import traceback
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command, get_commands
from django.test import Client
from django.utils import timezone

from events.models import Event
from events.store import EventStore
from events.types import NewEvent
from projections.models import Timer
from tests.crawl import crawl

# A command's arguments; `{file}` is what export_events wrote.
COMMANDS: dict[str, list[list[str]]] = {
    "check": [["--fail-level", "WARNING"]],
    "makemigrations": [["--check", "--dry-run"]],
    "run_projections": [["--until-caught-up"]],
    "events_doctor": [[], ["--json"]],
    "events_digest": [[]],
    "events_grants": [[]],
    "export_events": [["{file}"]],
    "import_events": [["{file}", "--dry-run"]],
    "seal_events": [[]],
    "verify_events": [[]],
    "list_projections": [[], ["--json"]],
    "list_timers": [[], ["--json"]],
    "cancel_timers": [["gone", "--all"]],
    "fire_timers": [["gone", "key"]],
    "move_timers": [["gone", "sales"]],
    "forward_reaction": [["sales"]],
    "rewind_reaction": [["sales", "--from", "1", "--yes"]],
    "list_parked": [[], ["broken", "--details"]],
    "pause_projection": [["broken"]],
    "resume_projection": [["broken"]],
    "retry_parked": [["broken"]],
    "keep_rows": [["sales"]],
    "rebuild_projection": [["sales", "--yes"]],
    "skip_parked": [["broken", "{parked}", "--reason", "a reason"]],
    "forget_projection": [["gone"]],
    "dumpdata": [["sales"]],
    "loaddata": [["{fixture}"]],
    "flush": [["--no-input"]],
}
# Commands that may have nothing to do here, and say so.
REJECTED = {
    "cancel_timers",
    "fire_timers",
    "move_timers",
    "forward_reaction",
    "rewind_reaction",
    "keep_rows",
    "forget_projection",
    "flush",
    "seal_events",
    "events_digest",
    "verify_events",
    "events_grants",
}


def main(admin: str, apis: list[str], operations: list[list[Any]]) -> None:
    faults: list[str] = []
    client = Client(SERVER_NAME="localhost", raise_request_exception=False)
    client.force_login(get_user_model().objects.create_superuser("boss"))
    _store_something()
    call_command("run_projections", until_caught_up=True, stderr=StringIO(), stdout=StringIO())
    pages = _pages(client, admin, faults)
    tried = sum(_operation(client, api, *operation, faults) for api in apis for operation in operations)
    commands = _commands(faults)
    print(json.dumps({"faults": faults, "pages": pages, "operations": tried, "commands": commands}))


def _store_something() -> None:
    flow = {"correlation_id": "flow", "actor": "customer-7"}
    store = EventStore()
    store.dispatch(*[NewEvent("order-1", "OrderPlaced", {"n": n}, metadata=flow) for n in range(1, 1501)])
    store.dispatch(NewEvent("cart-1", "Broken", {"n": 1}), NewEvent("cart-1", "Broken", {"n": 2}))


def _pages(client: Client, admin: str, faults: list[str]) -> int:
    def get(url: str) -> tuple[int, str]:
        response = client.get(url)
        return response.status_code, response.getvalue().decode()  # an export is streamed

    pages = list(crawl(get, admin))
    faults += [f"{page.url}: {page.status}" for page in pages if page.status != 200]
    own = [page for page in pages if "/events/" in page.url or "/projections/" in page.url]
    faults += [each for page in own for each in page.localized()]
    return len(pages)


def _operation(client: Client, api: str, method: str, path: str, faults: list[str]) -> bool:
    event = Event.objects.using(EventStore().using).order_by("position")[:1].get()
    values = {"aggregate_id": "order-1", "event_id": event.event_id, "name": "broken", "slug": "invalid"}
    if "{timer_id}" in path:
        values["timer_id"] = a_timer()
    url = api + path.format(**values)
    if path.endswith("/stream/"):  # it asks for ASGI, in so many words
        return False
    for each, known in ((client, True), (Client(SERVER_NAME="localhost", raise_request_exception=False), False)):
        response = each.generic(method.upper(), url, b"{}" if method == "post" else b"", "application/json")
        if response.status_code >= 500 or (known and response.status_code in (401, 403, 404)):
            faults.append(f"{method} {url} {'' if known else '(anonymous) '}: {response.status_code}")
        if response.streaming:
            list(response)
    return True


def a_timer() -> int:
    """Return the id of a new timer, for an operation that removes it."""
    timer = Timer(reaction="gone", key=str(uuid4()), due_at=timezone.now(), source_position=1, event_id=uuid4())
    timer.aggregate_id, timer.type, timer.data, timer.metadata = "order-1", "Due", {}, {}
    timer.save(using=EventStore().using)
    return int(timer.pk)


def _commands(faults: list[str]) -> int:
    ours = {name for name, app in get_commands().items() if app in ("events", "projections")}
    faults += [f"{name}: not tried" for name in ours - COMMANDS.keys()]
    parked = Event.objects.using(EventStore().using).filter(aggregate_id="cart-1").order_by("position")[0].position
    places = {"file": Path("events.jsonl").resolve(), "fixture": Path("fixture.json").resolve(), "parked": parked}
    places["fixture"].write_text("[]")
    for name, calls in COMMANDS.items():
        for arguments in calls:
            words, output = [word.format(**places) for word in arguments], StringIO()
            try:
                call_command(name, *words, stdout=output, stderr=StringIO())
            except CommandError as error:
                if name == "events_doctor":
                    faults += _findings(output.getvalue())
                elif name not in REJECTED:
                    faults.append(f"{name} {words}: {error}")
            except SystemExit as end:
                if end.code:
                    faults.append(f"{name} {words}: exit code {end.code}")
            except Exception:
                faults.append(f"{name} {words}: {traceback.format_exc(limit=-3)}")
    return len(COMMANDS)


def _findings(output: str) -> list[str]:
    """What the doctor has found, but for what is so here: the worker has ended, and an event is parked."""
    lines = output.splitlines()
    if lines[0] == "[":
        lines = [f"{found['severity']} {found['problem']}" for found in json.loads(output)]
    found = [line for line in lines if line.startswith(("error ", "warning "))]
    return [f"events_doctor: {line}" for line in found if not re.search("no worker has been seen|parked", line)]
