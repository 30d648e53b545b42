"""The metrics of projections and reactions, of their parked events and of their workers."""

from collections.abc import Iterator
from typing import Any

from django.utils import timezone

from events.monitoring.metrics import Metric, gauge, seconds_since
from events.routing import database
from projections.models import Heartbeat, Timer

from . import status
from .status import Report, ReportedStatus


def metrics(using: str) -> Iterator[Metric]:
    """Yield the metrics of all projections; nothing for a database that is not theirs."""
    if using != database():
        return
    reports, now = status.reports(), timezone.now()

    def each(name: str, help: str, value: Any) -> Metric:  # noqa: A002  # the field of Prometheus
        found = [(_labels(report), value(report)) for report in reports]
        return Metric(f"projections_{name}", help, [(labels, number) for labels, number in found if number is not None])

    yield each("position", "The position up to which the rows contain all events", lambda of: of.position)
    yield each("lag_events", "Later events, counted up to 10000", lambda of: of.lag_events)
    yield each(
        "lag_seconds", "How long ago the first of these events was stored, in seconds", lambda of: of.lag_seconds
    )
    yield each("events_per_second", "Events that it has handled per second, lately", lambda of: of.rate)
    yield each("missed_events", "Events that an INLINE projection has missed", lambda of: of.missed)
    yield each("retrying_events", "Events that have failed and are retried", lambda of: of.retrying)
    yield each("parked_events", "Events that failed too often, and those that wait behind them", lambda of: of.parked)
    yield each(
        "oldest_parked_seconds",
        "How long ago the first of these events stepped aside, in seconds; 0 without any",
        lambda of: seconds_since(of.parked_since, now),
    )
    yield each("attempts", "Failed attempts at the event that is retried next", lambda of: of.attempts)
    yield each(
        "unavailable_seconds",
        "How long a system that it needs has been away, in seconds; 0 while it is there",
        lambda of: seconds_since(of.since, now) if of.status is ReportedStatus.UNAVAILABLE else 0.0,
    )
    yield each("rebuild_ratio", "How much of its rebuild is done, from 0 to 1", lambda of: of.rebuild)
    yield Metric(
        "projections_status",
        "1 for the status that it has, 0 for all others",
        [
            ({**_labels(report), "status": str(one)}, float(report.status is one))
            for report in reports
            for one in ReportedStatus
        ],
    )
    workers = [row for row in Heartbeat.objects.using(using) if row.is_alive]
    yield gauge("projections_workers", "Workers that are alive", len(workers))
    timers = Timer.objects.using(using)
    yield gauge("projections_timers", "Timers that have not fired", timers.count())
    yield gauge(
        "projections_rejected_timers",
        "Timers whose event was rejected too often, for an operator",
        timers.failed().count(),
    )


def _labels(report: Report) -> dict[str, str]:
    return {"name": report.name, "kind": report.kind}
