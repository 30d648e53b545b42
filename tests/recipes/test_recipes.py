"""Each recipe with the real package: it works, waits while the other system is away, and keeps its keys."""

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from redis import Redis

from tests.recipes.conftest import InvoicingService, MailServer, RecipesProject, RedisServer

pytestmark = pytest.mark.django_db

BEGIN = """
moving.forward("{name}", by="x")
store.dispatch(*[NewEvent(each, "OrderPaid", {data}, metadata={{"correlation_id": "visit-1"}}) for each in {orders!r}])
"""


def pay(name: str, *orders: str, data: str = "{}") -> str:
    """The beginning of a script: orders are paid."""
    return BEGIN.format(name=name, orders=orders, data=data)


@contextmanager
def celery_worker(recipes: RecipesProject, redis: RedisServer) -> Iterator[None]:
    options = ["--pool", "solo", "--without-gossip", "--without-mingle", "--loglevel", "WARNING"]
    worker = subprocess.Popen(
        [recipes.python, "-m", "celery", "-A", "deliveries.celery", "worker", *options],
        cwd=recipes.folder,
        env={**os.environ, **recipes.environment, **redis.environment},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        worker.terminate()
        worker.wait(20)


def messages(client: Redis) -> list[dict[str, Any]]:
    """The tasks in the queue, the first one first."""
    found: Any = client.lrange("celery", 0, -1)
    return [json.loads(each) for each in reversed(found)]


def test_celery_runs_the_task_in_the_context_of_the_event(recipes: RecipesProject, redis_server: RedisServer) -> None:
    redis_server.start()
    script = """
run("deliveries")
(paid,) = [each for each in store.read_all(types=["OrderPaid"]) if each.aggregate_id == "order-1"]
wait(lambda: stored("ParcelHandedOver"))
(done,) = store.read_all(types=["ParcelHandedOver"])
print(json.dumps([done.aggregate_id, done.metadata, str(paid.event_id), state_of("deliveries")]))
"""
    with celery_worker(recipes, redis_server):
        done, metadata, paid, state = recipes.script(pay("deliveries", "order-1") + script, **redis_server.environment)
    assert done == "order-1"
    assert (metadata["correlation_id"], metadata["causation_id"]) == ("visit-1", paid)
    assert (state["away"], state["parked"]) == (False, [])


def test_celery_waits_for_its_broker_and_keeps_the_task_id(recipes: RecipesProject, redis_server: RedisServer) -> None:
    redis_server.start()
    redis_server.stop()
    away = recipes.script(
        pay("deliveries", "order-2") + 'run("deliveries", Until.ONCE); print(json.dumps(state_of("deliveries")))',
        **redis_server.environment,
    )
    assert (away["away"], away["attempts"], away["parked"]) == (True, 0, [])
    assert 3 < away["pause"] <= 5
    redis_server.start()
    again = """
run("deliveries")
run_again("deliveries", "order-2")
"""
    recipes.script(again, **redis_server.environment)
    with redis_server.client() as client:
        first, second = messages(client)
    assert first["headers"]["id"] == second["headers"]["id"]
    assert first["headers"]["event_context"]["correlation_id"] == "visit-1"


def test_tasks_in_the_same_database_are_enqueued_exactly_once(recipes: RecipesProject) -> None:
    script = """
from unittest.mock import patch
from django_tasks_db.models import DBTaskResult
from labels import reactions
enqueue = reactions.Labels.enqueue
def broken(self, event, do):
    enqueue(self, event, do)
    if event.aggregate_id == "order-4":
        raise KeyError("after the task was enqueued")
reactions.Labels.enqueue = broken
registry.get("labels")._handlers["OrderPaid"] = [lambda event, do: broken(registry.get("labels"), event, do)]
run("labels")
print(json.dumps([DBTaskResult.objects.count(), state_of("labels")]))
"""
    count, state = recipes.script(pay("labels", "order-3", "order-4") + script)
    assert (count, [each for each, _ in state["parked"]]) == (1, ["order-4"])
    recipes.manage("db_worker", "--batch", "--no-startup-delay")
    assert recipes.script('print(json.dumps(stored("LabelPrinted")))')[0][0] == "order-3"


def test_mail_waits_for_its_server_and_a_rejected_address_is_parked(recipes: RecipesProject) -> None:
    begin = pay("receipts", "order-5", "order-6", data='{"email": "ann@example.org"}')
    begin += 'store.dispatch(NewEvent("order-7", "OrderPaid", {"email": "nobody@example.org"}))\n'
    away = recipes.script(begin + 'run("receipts", Until.ONCE); print(json.dumps(state_of("receipts")))')
    assert (away["away"], away["attempts"], away["parked"]) == (True, 0, [])
    server = MailServer()
    server.start()
    try:
        again = """
run("receipts")
state = state_of("receipts")
run_again("receipts", "order-5")
print(json.dumps(state))
"""
        state = recipes.script(again, SMTP_PORT=str(server.port))
    finally:
        server.stop()
    assert [each for each, _ in state["parked"]] == ["order-7"]
    assert "no such mailbox" in state["parked"][0][1]
    ids = [each["Message-ID"] for each in server.mailbox.messages]
    assert len(set(ids)) == 2, "a message that is sent again has the same id"
    assert len(ids) == 4
    assert {each["Subject"] for each in server.mailbox.messages} == {"Receipt for order-5", "Receipt for order-6"}


def test_http_call_is_done_once_under_its_key(recipes: RecipesProject, invoicing: InvoicingService) -> None:
    url = {"INVOICES_URL": invoicing.url}
    begin = pay("invoices", "order-8", data='{"address": "1 Long Street"}')
    invoicing.is_busy = True
    away = recipes.script(begin + 'run("invoices", Until.ONCE); print(json.dumps(state_of("invoices")))', **url)
    assert (away["away"], away["attempts"]) == (True, 0)
    assert 5 < away["pause"] <= 7, "as long as the service asks for"
    invoicing.is_busy = False
    again = """
store.dispatch(NewEvent("order-9", "OrderPaid", {}))
run("invoices")
run_again("invoices", "order-8")
print(json.dumps([stored("InvoiceWritten"), state_of("invoices")]))
"""
    written, state = recipes.script(again, **url)
    assert [(order, data) for order, data, _ in written] == [("order-8", {"number": 100})]
    assert len(invoicing.invoices) == 1
    assert [each for each, _ in state["parked"]] == ["order-9"]
    assert "422" in state["parked"][0][1]


def test_channels_tell_consumers_that_are_connected(recipes: RecipesProject, redis_server: RedisServer) -> None:
    script = """
import asyncio
from asgiref.sync import sync_to_async
from asgiref.testing import ApplicationCommunicator
from boards.consumers import OrdersConsumer

async def use():
    browser = ApplicationCommunicator(OrdersConsumer.as_asgi(), {"type": "websocket", "path": "/orders/"})
    await browser.send_input({"type": "websocket.connect"})
    accepted = await browser.receive_output(timeout=10)
    await sync_to_async(run)("boards")
    told = await browser.receive_output(timeout=10)
    await browser.send_input({"type": "websocket.disconnect", "code": 1000})
    await browser.wait()
    return [accepted["type"], json.loads(told["text"])]

print(json.dumps(asyncio.run(use())))
"""
    away = recipes.script(
        pay("boards", "order-10") + 'run("boards", Until.ONCE); print(json.dumps(state_of("boards")))',
        **redis_server.environment,
    )
    assert (away["away"], away["parked"]) == (True, [])
    redis_server.start()
    assert recipes.script(script, **redis_server.environment) == ["websocket.accept", {"order": "order-10"}]
