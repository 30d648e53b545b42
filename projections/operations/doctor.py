"""What `events_doctor` looks at in projections."""

from collections.abc import Iterator
from datetime import timedelta

from django.utils import timezone

from events.monitoring.diagnostics import Finding, Severity, diagnostic
from events.monitoring.doctor import unapplied
from projections import registry
from projections.base import Mode
from projections.models import Heartbeat

from . import status
from .status import ReportedStatus

SILENT_AFTER = timedelta(seconds=30)


@diagnostic("The migrations of the projections are applied")
def migrations(using: str) -> Iterator[Finding]:
    return unapplied(using, "projections")


@diagnostic("Projections keep up, and park nothing")
def projections(using: str) -> Iterator[Finding]:
    for report in status.reports():
        if problem := report.problem():
            why = f" ({report.status_reason})" if report.status_reason else ""
            yield Finding(f"projection {report.name}: {problem}{why}", _remedy(report))
        if report.status is ReportedStatus.ORPHANED:
            yield Finding(
                f"projection {report.name} has rows, but no code any more",
                f"python manage.py forget_projection {report.name}, or install its app again.",
                Severity.WARNING,
            )
        if report.parked:
            yield Finding(
                f"projection {report.name} has parked {report.parked} events: {report.last_error or 'see list_parked'}",
                f"python manage.py list_parked; mend the handler, then retry_parked {report.name}.",
                Severity.WARNING,
            )


@diagnostic("A worker is alive")
def workers(using: str) -> Iterator[Finding]:
    if not any(each.mode is Mode.ASYNC for each in registry.all_projections()):
        return
    if not Heartbeat.objects.filter(seen_at__gt=timezone.now() - SILENT_AFTER).exists():
        yield Finding(
            "no worker has been seen lately: ASYNC projections stand still", "python manage.py run_projections"
        )


def _remedy(report: status.Report) -> str:
    if report.status is ReportedStatus.STOPPED:
        return f"Mend what stopped it, then python manage.py resume_projection {report.name}."
    if report.status is ReportedStatus.OUTDATED:
        return f"python manage.py rebuild_projection {report.name}"
    if report.status is ReportedStatus.PAUSED:
        return f"python manage.py resume_projection {report.name}"
    return "Look at its rate with list_projections; run more workers, or give it more shards."
