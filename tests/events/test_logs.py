"""What the logs say: who, where and why, but nothing of what events hold, and no log-in."""

import json
import logging
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import transaction
from rest_framework.authtoken.models import Token
from rest_framework.test import APIClient

from events.exceptions import DuplicateEvent, InvalidEvent, VersionConflict
from events.store import EventStore
from eventstore_project import postgres
from projections.workers.worker import Until, Worker
from tests.support import new

pytestmark = pytest.mark.django_db(transaction=True)

SECRET = "4111-1111-1111-1111"


def test_logs_hold_nothing_of_what_events_say(
    store: EventStore, admin_user: Any, client: Any, caplog: pytest.LogCaptureFixture, tmp_path: Any
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("django.request", "django.server"):
        logging.getLogger(name).propagate = True
    secret = {"card": SECRET}
    event = new("a-1", data=secret, metadata={"session": SECRET})
    store.dispatch(event, new("a-1", "Fragile", data={"poison": 1, **secret}))

    def fail(event: Any, **kwargs: Any) -> None:
        raise RuntimeError("cannot")

    with store.subscribe("Failing", fail, on_commit=True):
        store.dispatch(new("b-1", "Failing", data=secret))
    with pytest.raises(VersionConflict):
        store.dispatch(new("a-1", data=secret), expected_version=7)
    with pytest.raises(DuplicateEvent), transaction.atomic():
        store.dispatch(new("c-1", data=secret, event_id=event.event_id))
    with pytest.raises(InvalidEvent) as rejected:
        store.dispatch(new("a-1", data={**secret, "n": float("nan")}))
    assert SECRET not in str(rejected.value)
    Worker(until=Until.CAUGHT_UP).run()

    token = Token.objects.create(user=admin_user).key
    api = APIClient(headers={"Authorization": f"Token {token}"})
    for body in (json.dumps({"aggregate_id": "a-1", "type": 5, "data": secret}), f'{{"data": "{SECRET}'):
        assert api.post("/api/events/", body, content_type="application/json").status_code == 400
    assert APIClient(headers={"Authorization": f"Token {token}x"}).get("/api/events/").status_code == 401
    client.post("/admin/login/", {"username": admin_user.username, "password": SECRET})

    file = tmp_path / "events.jsonl"
    file.write_text(json.dumps({"aggregate_id": "a-1", "type": "T", "data": [SECRET]}))
    with pytest.raises(CommandError) as bad:
        call_command("import_events", file)
    assert SECRET not in str(bad.value)

    records = [record for record in caplog.records if not record.name.startswith("django.db")]
    text = "\n".join(logging.Formatter().format(record) for record in records)
    assert "parked=true" in text, "the test has seen the logs"
    assert SECRET not in text
    assert token not in text


def test_database_that_cannot_be_reached_is_named_without_its_password(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", f"postgres://somebody:{SECRET}@127.0.0.1:1/nothing")
    with pytest.raises(postgres.PostgresUnavailable) as rejected:
        postgres.join()
    assert SECRET not in str(rejected.value)
    assert "127.0.0.1" in str(rejected.value)
