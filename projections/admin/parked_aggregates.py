"""Parked events by aggregate: the one that failed, and behind it those that wait for it."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils.safestring import SafeString

from events.routing import database
from projections.models import Build, ParkedEvent

from .links import Links

MAX_AGGREGATES = 50
MAX_WAITING = 20


@dataclass(frozen=True)
class Waiting:
    """An event that waits."""

    parked: ParkedEvent
    position: SafeString


@dataclass(frozen=True)
class Blocked:
    """An aggregate whose events are parked.

    Attributes:
        failed: its event that could not be handled.
        position, aggregate: of that event, as links for those who may follow them.
        waiting: the first of those behind it.
        count: how many are behind it.
    """

    failed: ParkedEvent
    position: SafeString
    aggregate: SafeString
    waiting: list[Waiting]
    count: int

    @property
    def more(self) -> int:
        """How many of those behind it are not listed."""
        return self.count - len(self.waiting)


def live() -> QuerySet[ParkedEvent]:
    """Return what is parked beside the rows that are served; what a rebuild parks is its own affair."""
    return ParkedEvent.objects.using(database()).filter(build=Build.LIVE)


def of_projection(name: str, links: Links) -> tuple[list[Blocked], int]:
    """Return the first aggregates that a projection has parked events of, and how many more there are."""
    failed = live().filter(projection=name).exclude(error="")
    shown = list(failed.order_by("position")[:MAX_AGGREGATES])
    more = failed.count() - MAX_AGGREGATES if len(shown) == MAX_AGGREGATES else 0
    return of_failed(name, shown, links), max(0, more)


def of_failed(name: str, failed: Sequence[ParkedEvent], links: Links) -> list[Blocked]:
    """Return failed events of a projection, with those behind each; in two queries, however many they are."""
    waiting = live().filter(projection=name, aggregate_id__in=[each.aggregate_id for each in failed], error="")
    counts = dict(waiting.order_by().values_list("aggregate_id").annotate(Count("pk")))
    place = Window(RowNumber(), partition_by="aggregate_id", order_by="position")
    behind: dict[str, list[Waiting]] = defaultdict(list)
    for each in waiting.defer("traceback").annotate(place=place).filter(place__lte=MAX_WAITING).order_by("position"):
        behind[each.aggregate_id].append(Waiting(each, links.event(each.position, each.aggregate_id)))
    return [
        Blocked(
            failed=each,
            position=links.event(each.position, each.aggregate_id),
            aggregate=links.aggregate(each.aggregate_id),
            waiting=behind[each.aggregate_id],
            count=counts.get(each.aggregate_id, 0),
        )
        for each in failed
    ]


def in_front_of(waiting: ParkedEvent) -> ParkedEvent | None:
    """Return the failed event that `waiting` waits for; None if it was done with in this very moment."""
    ahead = live().filter(projection=waiting.projection_id, aggregate_id=waiting.aggregate_id)
    return ahead.filter(position__lt=waiting.position).exclude(error="").order_by("position").first()
