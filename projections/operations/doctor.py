"""The diagnostics of the projections for `events_doctor`."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.utils import timezone

from events.monitoring.diagnostics import Finding, Severity, diagnostic
from events.monitoring.doctor import function_findings, unapplied
from events.routing import database
from events.storage.query_files import fetch_tuples
from projections import engine, registry
from projections.base import Mode
from projections.models import Checkpoint, Heartbeat

from . import status
from .status import ReportedStatus

MAX_SILENCE = timedelta(seconds=30)
_SQL = Path(engine.__file__).parent / "sql"
_FUNCTIONS = {f"projections_{file.stem}" for file in _SQL.glob("*.sql")}


@diagnostic("The migrations of the projections are applied", database=database)
def migrations(using: str) -> Iterator[Finding]:
    return unapplied(using, "projections", "projections_projectionstate")


@diagnostic("The functions of the projections are from this version, and set their own search_path", database=database)
def functions(using: str) -> Iterator[Finding]:
    return function_findings(using, "projections_", _SQL, _FUNCTIONS)


@diagnostic("No checkpoint is beyond the last event", database=database)
def checkpoints(using: str) -> Iterator[Finding]:
    # Read in this order: a worker may move a checkpoint in between.
    checkpoints = list(Checkpoint.objects.using(using).values_list("projection_id", "position"))
    ((last,),) = fetch_tuples(using, "SELECT last_value FROM events_event_position_seq")
    for name, position in checkpoints:
        if position > last:
            yield Finding(
                f"the checkpoint of projection {name} is at position {position}, beyond the last event:"
                " it will miss events",
                f"Find the program or the person that moved it. Then run python manage.py rebuild_projection {name}.",
            )


@diagnostic("Projections keep up, and no event is parked", database=database)
def projections(using: str) -> Iterator[Finding]:
    for report in status.reports():
        if problem := report.problem():
            why = f" ({report.status_reason})" if report.status_reason else ""
            yield Finding(f"projection {report.name}: {problem}{why}", _remedy(report))
        if report.status is ReportedStatus.ORPHANED:
            yield Finding(
                f"projection {report.name} has rows, but its code is gone",
                f"python manage.py forget_projection {report.name}, or install its app again.",
                Severity.WARNING,
            )
        if report.parked:
            yield Finding(
                f"projection {report.name} has parked {report.parked} events: {report.last_error or 'see list_parked'}",
                f"See python manage.py list_parked, correct the handler, then run retry_parked {report.name}.",
                Severity.WARNING,
            )


@diagnostic("A worker is alive", database=database)
def workers(using: str) -> Iterator[Finding]:
    if not any(each.mode is Mode.ASYNC for each in registry.all_projections()):
        return
    if not Heartbeat.objects.using(using).filter(seen_at__gt=timezone.now() - MAX_SILENCE).exists():
        yield Finding(
            f"no worker has been seen in the last {MAX_SILENCE.seconds} s, so ASYNC projections do not advance",
            "python manage.py run_projections",
        )


def _remedy(report: status.Report) -> str:
    if report.status is ReportedStatus.STOPPED:
        return f"Correct the cause, then run python manage.py resume_projection {report.name}."
    if report.status is ReportedStatus.UNDECIDED:
        return f"python manage.py rebuild_projection {report.name}, or keep the rows: keep_rows {report.name}"
    if report.status in (ReportedStatus.OUTDATED, ReportedStatus.INCOMPLETE):
        return f"python manage.py rebuild_projection {report.name}"
    if report.status is ReportedStatus.PAUSED:
        return f"python manage.py resume_projection {report.name}"
    return "See its rate in list_projections. Run more workers, or give it more shards."
