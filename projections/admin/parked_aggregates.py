"""Parked events by aggregate: the event that failed, and the events that wait behind it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events.admin.browsing import to_the_second
from events.routing import database
from projections.models import Build, ParkedEvent

from .links import Links

MAX_AGGREGATES = 50
MAX_WAITING = 20


@dataclass(frozen=True)
class WaitingEvent:
    """An event that waits behind a failed one."""

    parked: ParkedEvent
    position: SafeString


@dataclass(frozen=True)
class BlockedAggregate:
    """An aggregate whose events are parked.

    Attributes:
        failed: the event that could not be handled; it is parked, or retried.
        position, aggregate: those of the failed event, as links for users who may read it.
        waiting: the first events behind it.
        count: the number of events behind it.
    """

    failed: ParkedEvent
    position: SafeString
    aggregate: SafeString
    waiting: list[WaitingEvent]
    count: int

    @property
    def more(self) -> int:
        """The number of events behind it that are not in `waiting`."""
        return self.count - len(self.waiting)

    @property
    def state(self) -> SafeString | str:
        return state_of(self.failed)


def state_of(event: ParkedEvent) -> SafeString | str:
    """Return whether an event is retried, with the time, or is parked, or waits."""
    if event.next_attempt_at:
        return format_html("retrying at {}", to_the_second(event.next_attempt_at))
    return "parked" if event.error else "waiting"


def live() -> QuerySet[ParkedEvent]:
    """Return the parked events of the served rows, without those of rebuilds."""
    return ParkedEvent.objects.using(database()).filter(build=Build.LIVE)


def of_projection(name: str, links: Links) -> tuple[list[BlockedAggregate], int]:
    """Return the first aggregates with parked events of a projection, and the number of the others."""
    failed = live().filter(projection=name).exclude(error="")
    shown = list(failed.order_by("position")[:MAX_AGGREGATES])
    more = failed.count() - MAX_AGGREGATES if len(shown) == MAX_AGGREGATES else 0
    return of_failed(name, shown, links), max(0, more)


def of_failed(name: str, failed: Sequence[ParkedEvent], links: Links) -> list[BlockedAggregate]:
    """Return failed events of a projection with the events behind each, in two queries."""
    waiting = live().filter(projection=name, aggregate_id__in=[each.aggregate_id for each in failed], error="")
    counts = dict(waiting.order_by().values_list("aggregate_id").annotate(Count("pk")))
    place = Window(RowNumber(), partition_by="aggregate_id", order_by="position")
    behind: dict[str, list[WaitingEvent]] = defaultdict(list)
    for each in waiting.defer("traceback").annotate(place=place).filter(place__lte=MAX_WAITING).order_by("position"):
        behind[each.aggregate_id].append(WaitingEvent(each, links.event(each.position, each.aggregate_id)))
    return [
        BlockedAggregate(
            failed=each,
            position=links.event(each.position, each.aggregate_id),
            aggregate=links.aggregate(each.aggregate_id),
            waiting=behind[each.aggregate_id],
            count=counts.get(each.aggregate_id, 0),
        )
        for each in failed
    ]


def in_front_of(waiting: ParkedEvent) -> ParkedEvent | None:
    """Return the failed event that `waiting` waits for; None if it was retried or skipped in the meantime."""
    ahead = live().filter(projection=waiting.projection_id, aggregate_id=waiting.aggregate_id)
    return ahead.filter(position__lt=waiting.position).exclude(error="").order_by("position").first()
