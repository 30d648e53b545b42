"""The commands for timers."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from projections.models import Operation, Timer
from tests.projections.reactions.support import Reminds, add_timers, registered, reminders
from tests.projections.support import catch_up

pytestmark = pytest.mark.django_db(transaction=True)
NEW_YEAR = datetime(2100, 1, 1, tzinfo=UTC)


@pytest.fixture(autouse=True)
def reminds() -> Iterator[None]:
    with registered(Reminds):
        catch_up("reminds")
        yield


def test_timers_are_listed_with_what_became_of_them(capsys: Any) -> None:
    call_command("list_timers")
    assert capsys.readouterr().out == "There are no timers.\n"
    add_timers(2, NEW_YEAR)
    add_timers(1, NEW_YEAR, reaction="before")
    Timer.objects.filter(key="k1").update(attempts=2, error="LookupError", next_attempt_at=None)
    call_command("list_timers")
    assert capsys.readouterr().out.splitlines() == [
        "reminds: k1, due 2099-12-31 23:59:59 UTC: reactions-reminded of item-1 (2 attempts, not retried): LookupError",
        "reminds: k0, due 2100-01-01 00:00:00 UTC: reactions-reminded of item-0",
        "before (gone): k0, due 2100-01-01 00:00:00 UTC: reactions-reminded of item-0",
    ]
    Timer.objects.filter(key="k1").update(next_attempt_at=NEW_YEAR)
    call_command("list_timers", reaction="reminds")
    assert "(2 attempts, retried at 2100-01-01 00:00:00 UTC)" in capsys.readouterr().out


def test_timers_are_listed_as_json(capsys: Any) -> None:
    add_timers(2, NEW_YEAR, reaction="before")
    call_command("list_timers", json=True, reaction="before")
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["key"] for line in lines] == ["k1", "k0"]
    assert lines[1] == {
        "reaction": "before",
        "is_gone": True,
        "key": "k0",
        "due_at": "2100-01-01T00:00:00Z",
        "type": "reactions-reminded",
        "aggregate_id": "item-0",
        "attempts": 0,
        "next_attempt_at": "2100-01-01T00:00:00Z",
        "error": "",
    }
    call_command("list_timers", json=True, reaction="nobody")
    assert capsys.readouterr().out == ""


def test_timers_are_moved_fired_and_cancelled_for_the_record(capsys: Any) -> None:
    add_timers(4, NEW_YEAR, reaction="before")
    call_command("move_timers", "before", "reminds", reason="renamed")
    call_command("fire_timers", "reminds", "k0", "k1")
    call_command("cancel_timers", "reminds", "k2")
    call_command("cancel_timers", "reminds", "--all")
    assert capsys.readouterr().out.splitlines() == [
        "4 timers of before now belong to reminds.",
        "Timers of reminds fired: 2.",
        "Timers of reminds cancelled: 1.",
        "Timers of reminds cancelled: 1.",
    ]
    assert len(reminders()) == 2
    actions = [record.action for record in Operation.objects.order_by("pk")]
    assert actions == ["move timers", "fire timers", "cancel timers", "cancel timers"]


@pytest.mark.parametrize("arguments", [[], ["k0", "--all"]])
def test_cancellation_needs_keys_or_all(arguments: list[str]) -> None:
    add_timers(1)
    with pytest.raises(CommandError, match="Give the keys of the timers to cancel, or --all"):
        call_command("cancel_timers", "reminds", *arguments)
    assert Timer.objects.count() == 1


def test_unknown_timer_ends_the_command() -> None:
    with pytest.raises(CommandError, match="has no timer 'k0'"):
        call_command("fire_timers", "reminds", "k0")
