"""Projections that only the tests use. They want event types of their own, so other tests do not meet them."""

import os
import signal
import time

from django.db import connection

from events.models import Event
from events.types import ALL
from projections.base import ASYNC, Mode, Projection, handles
from projections.registry import register
from tests.readmodels.models import Case, FragileNote, ShardedTotal, Step, Total


@register
class Tally(Projection):
    """Counts `Counted` events, all of them and by the number they carry: two rows that must agree."""

    name = "tally"
    mode = ASYNC
    models = [Total]

    @handles("Counted")
    def count(self, event: Event) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "INSERT INTO readmodels_total AS t VALUES ('all', 1), (%s, 1)"
                " ON CONFLICT (key) DO UPDATE SET count = t.count + 1",
                [event.aggregate_id],
            )


@register
class ShardedTally(Projection):
    """Notes the order in which each aggregate's `Counted` events come, in four shards."""

    name = "sharded_tally"
    mode = ASYNC
    shards = 4
    models = [ShardedTotal]
    batch_events = 50

    @handles("Counted")
    def note(self, event: Event) -> None:
        row, _ = ShardedTotal.objects.get_or_create(aggregate_id=event.aggregate_id)
        row.versions.append(event.version)
        row.save()


@register
class Cases(Projection):
    """The receipt log as a table of cases and one of their steps, with a foreign key and generated keys."""

    name = "cases"
    mode = Mode(os.environ.get("TEST_CASES_MODE", "async"))
    shards = int(os.environ.get("TEST_CASES_SHARDS", "1"))
    models = [Case, Step]

    @handles(ALL)
    def step(self, event: Event) -> None:
        case = Case(case_id=event.aggregate_id, last_activity=event.type, steps=event.version)
        fields = ["last_activity", "steps"]
        Case.objects.bulk_create([case], update_conflicts=True, unique_fields=["case_id"], update_fields=fields)
        resource = event.data.get("org:resource")
        Step.objects.create(case=case, number=event.version, activity=event.type, resource=resource)


class Broken(Exception):
    """What a handler raises that cannot do its work."""


@register
class Fragile(Projection):
    """Notes `Fragile` events as the others do, but breaks on those whose data says so; tests mend it."""

    name = "fragile"
    mode = ASYNC
    models = [FragileNote]
    retry_delays_seconds = [0.05] * 200 if "TEST_MANY_RETRIES" in os.environ else None

    @handles("Fragile")
    def note(self, event: Event) -> None:
        FragileNote.objects.create(aggregate_id=event.aggregate_id, version=event.version)
        if event.data.get("poison"):
            self.check(event)

    def check(self, event: Event) -> None:
        if event.data["poison"] == "kill" and "TEST_KILL" in os.environ:
            os.kill(os.getpid(), signal.SIGKILL)
        if event.data["poison"] == "until" and time.time() >= event.data["until"]:
            return
        raise Broken(f"cannot handle {event.data['poison']!r}")
