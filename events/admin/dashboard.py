"""The dashboard on the admin's index: problems, new events, the size of the store, and what holds readers back."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any

from django.db import Error, transaction
from django.http import HttpRequest
from django.template.defaultfilters import filesizeformat
from django.utils import timezone

from events import authorization
from events.exceptions import UnsafeRead
from events.integrity import seals
from events.monitoring import statistics
from events.monitoring.diagnostics import HAS_STORE, Finding, Severity, registered
from events.routing import database
from events.storage import ordering, server_errors

from .charts import stacked_bars
from .links import event_list_url, history_url, page_url, site_of
from .timeline import ago

DAY = timedelta(days=1)


@dataclass(frozen=True)
class Unit:
    """A unit by which the chart divides the past into periods.

    Attributes:
        name: the name of the unit.
        covers: the time that all periods cover, in words.
        label: returns the label of the period that begins at a local time.
        starts: returns the starts of the periods up to a moment.
    """

    name: str
    covers: str
    label: Callable[[datetime], str]
    starts: Callable[[datetime], list[datetime]]


def context(request: HttpRequest) -> dict[str, Any]:
    """Return the context of the dashboard: what its user watches, and the events that the user may read.

    A database that does not answer, or has no store, is a problem on the page, not an error of it.
    """
    using, readable = database(), authorization.readable(request.user)
    watched = [each for each in registered(using) if each.watched_by and request.user.has_perm(each.watched_by)]
    if not readable and not watched:
        return {}
    findings = HAS_STORE.findings(using)
    activity: dict[str, Any] = {}
    if not findings:
        findings = [finding for each in watched for finding in each.findings(using)]
        if readable:
            try:
                with transaction.atomic(using):  # a savepoint, for the transaction of the request
                    activity = _activity(request, readable, using)
            except Error as error:
                problem, remedy = server_errors.in_words(error, using)
                findings.append(Finding(f"the activity cannot be shown: {problem}", remedy))
    problems = [Problem(finding, site_of(request)) for finding in findings]
    return {
        "is_shown": True,
        "watches": bool(watched or problems),
        "problems": sorted(problems, key=lambda each: not each.is_error),
        **activity,
    }


@dataclass(frozen=True)
class Problem:
    """A finding of a diagnostic, as the dashboard shows it."""

    finding: Finding
    site: str

    @property
    def is_error(self) -> bool:
        return self.finding.severity is Severity.ERROR

    @property
    def url(self) -> str:
        """The URL of the page that shows more; empty if there is none."""
        return page_url(self.site, *self.finding.page) if self.finding.page else ""

    @property
    def ago(self) -> str:
        return ago(self.finding.since) if self.finding.since else ""


def _activity(request: HttpRequest, readable: authorization.Categories, using: str) -> dict[str, Any]:
    now = timezone.localtime()
    unit = next((each for each in UNITS if each.name == request.GET.get("activity")), UNITS[1])
    starts = unit.starts(now)
    activity = statistics.activity(starts, readable.names, using)
    labels = [unit.label(timezone.localtime(start)) for start in starts]
    return {
        "unit": unit,
        "zone": now.tzname(),
        "units": UNITS,
        "activity": activity,
        "chart": stacked_bars(labels, activity.by_category),
        "types": [(name, count, event_list_url(site_of(request), type=name)) for name, count in activity.by_type],
        "aggregates": [
            (name, count, history_url(request, name))
            for name, count in statistics.busiest_aggregates(starts[0], readable.names, using)
        ],
        "among": statistics.COUNTED_EVENTS if activity.is_estimate else None,
        "size": _size(using, now) if readable.names is None else None,
        "progress": _progress(using, sees_queries=readable.names is None),
    }


def _size(using: str, now: datetime) -> dict[str, Any]:
    size = statistics.size(using)
    # Positions have gaps, so the difference may exceed the number of events.
    events_of_day = min(size.events, statistics.newest_position(using) - statistics.position_at(now - DAY, using))
    return {
        "events": size.events,
        "aggregates": size.aggregates,
        "bytes": filesizeformat(size.bytes),
        "is_estimate": size.is_estimate,
        "growth": filesizeformat(size.bytes * events_of_day // max(1, size.events)),
        "seals": _seals(using),
    }


def _seals(using: str) -> dict[str, Any] | None:
    """Return how far the store is sealed; None without seals."""
    digest = seals.newest_digest(using)
    if not digest.position:
        return None
    unsealed = seals.unsealed(using)
    return {"position": digest.position, "unsealed": unsealed, "has_more": unsealed.events == unsealed.MAX_COUNTED}


def _progress(using: str, sees_queries: bool) -> dict[str, Any]:
    """Return how far readers of the whole store can read, and the transactions that hold them back."""
    appends = statistics.open_appends(using)
    try:
        with transaction.atomic(using):  # a savepoint, because an error would abort an open transaction
            settled = ordering.settled_position(using)
    except UnsafeRead as error:
        return {"rejection": str(error)}
    newest = statistics.newest_position(using)
    return {
        "settled": settled,
        "newest": newest,
        "waiting": max(0, newest - settled),
        "appends": [{"append": each, "ago": ago(each.since) if each.since else ""} for each in appends],
        "sees_queries": sees_queries,
    }


def _minutes(now: datetime) -> list[datetime]:
    return _before(now.replace(second=0, microsecond=0), timedelta(minutes=1), 60)


def _hours(now: datetime) -> list[datetime]:
    return _before(now.replace(minute=0, second=0, microsecond=0), timedelta(hours=1), 24)


def _days(now: datetime) -> list[datetime]:
    """Return the midnights of the current time zone, in which not every day has 24 hours."""
    days = [now.date() - back * DAY for back in reversed(range(30))]
    return [timezone.make_aware(datetime.combine(day, time.min)) for day in days]


def _before(last: datetime, length: timedelta, count: int) -> list[datetime]:
    return [last.astimezone(UTC) - back * length for back in reversed(range(count))]


UNITS: Sequence[Unit] = (
    Unit("minute", "the last hour", "{:%H:%M}".format, _minutes),
    Unit("hour", "the last 24 hours", "{:%H:%M}".format, _hours),
    Unit("day", "the last 30 days", "{0.day} {0:%b}".format, _days),
)
