"""The rows of timers."""

from datetime import timedelta

import pytest
from django.db import IntegrityError, connection
from django.utils import timezone

from events.storage.query_files import read_query
from projections import models
from projections.models import Timer
from tests.projections.reactions.support import add_timers

pytestmark = pytest.mark.django_db


def test_next_due_is_the_first_that_fires_of_each_reaction() -> None:
    now = timezone.now()
    add_timers(3, now, reaction="one")
    add_timers(2, now + timedelta(hours=1), reaction="two")
    add_timers(1, reaction="three")
    Timer.objects.of("three").update(next_attempt_at=None)
    Timer.objects.of("one").filter(key="k2").update(next_attempt_at=None)
    assert Timer.objects.next_due(["one", "two", "three", "four"]) == {
        "one": now - timedelta(seconds=1),
        "two": now + timedelta(hours=1, seconds=-1),
    }
    assert [timer.key for timer in Timer.objects.of("one").failed()] == ["k2"]


def test_next_due_reads_one_entry_of_an_index() -> None:
    add_timers(2_000)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE projections_timer")
        cursor.execute(f"EXPLAIN {read_query(models.__name__, 'next_due')}", [["reminds", "answers"]])
        plan = "\n".join(row[0] for row in cursor.fetchall())
    assert "projections_timer_due" in plan
    assert "Sort" not in plan


def test_key_is_unique_in_its_reaction() -> None:
    add_timers(1, reaction="one")
    add_timers(1, reaction="two")
    with pytest.raises(IntegrityError):
        add_timers(1, reaction="one")


def test_timer_is_named_by_its_key_and_reaction() -> None:
    assert str(Timer(reaction="reminds", key="order-18\u202e")) == "order-18⟨U+202E⟩ of reminds"


def test_names_of_the_reactions_are_those_with_timers() -> None:
    assert Timer.objects.reactions() == []
    for name in ("two", "one", "three"):
        add_timers(2, reaction=name)
    assert Timer.objects.reactions() == ["one", "three", "two"]
