"""The diagnostics of the projections for `events_doctor`."""

from collections.abc import Iterator
from pathlib import Path

from events.monitoring.diagnostics import Finding, Severity, diagnostic
from events.monitoring.doctor import function_findings, unapplied
from events.plurals import number_of_events
from events.routing import database
from events.storage.query_files import fetch_tuples
from projections import engine, registry
from projections.base import Mode
from projections.models import MAX_SILENCE, Checkpoint, Heartbeat, Timer

from . import status
from .status import ReportedStatus

MAX_DEAD_WORKERS = 5
_ODD = (ReportedStatus.PAUSED, ReportedStatus.OUTDATED, ReportedStatus.WAITING, ReportedStatus.UNAVAILABLE)
BOARD = ("projections_projectionstate_changelist",)
_VIEW = "projections.view_projectionstate"
_TIMERS = "projections.view_timer"
_SQL = Path(engine.__file__).parent / "sql"
_FUNCTIONS = {f"projections_{file.stem}" for file in _SQL.glob("*.sql")}


@diagnostic("The migrations of the projections are applied", database=database)
def migrations(using: str) -> Iterator[Finding]:
    return unapplied(using, "projections", "projections_projectionstate")


@diagnostic("The functions of the projections are from this version, and set their own search_path", database=database)
def functions(using: str) -> Iterator[Finding]:
    return function_findings(using, "projections_", _SQL, _FUNCTIONS)


@diagnostic("No checkpoint is beyond the last event", database=database, watched_by=_VIEW)
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


@diagnostic("Projections keep up, and no event is parked", database=database, watched_by=_VIEW)
def projections(using: str) -> Iterator[Finding]:
    # Without any worker, another diagnostic says so once.
    has_worker = any(each.is_alive for each in Heartbeat.objects.using(using))
    for report in status.reports():
        page = ("projections_projectionstate_change", report.name)
        why = f" ({report.status_reason})" if report.status_reason else ""
        if problem := report.problem():
            is_late = report.status in (ReportedStatus.RUNNING, ReportedStatus.OUTDATED, ReportedStatus.NO_WORKER)
            since = report.lagging_since if is_late else report.since
            problem = f"projection {report.name}: {problem}{why}"
            yield Finding(problem, _remedy(report), since=since, page=page if report.rows_version else BOARD)
        elif report.status in _ODD or (report.status is ReportedStatus.NO_WORKER and has_worker):
            verb = "has" if report.status is ReportedStatus.NO_WORKER else "is"
            problem = f"projection {report.name} {verb} {report.status}{why}"
            yield Finding(problem, _remedy(report), Severity.WARNING, since=report.since, page=page)
        elif report.status is ReportedStatus.ORPHANED:
            yield Finding(
                f"projection {report.name} has rows, but its code is gone",
                f"Run python manage.py forget_projection {report.name}, or install its app again.",
                Severity.WARNING,
                page=page,
            )
        if report.parked:
            verb = "is" if report.parked == 1 else "are"
            yield Finding(
                f"projection {report.name}: {number_of_events(report.parked)} {verb} parked:"
                f" {report.last_error or 'see list_parked'}",
                f"See python manage.py list_parked, correct the handler, then run retry_parked {report.name}.",
                Severity.WARNING,
                since=report.parked_since,
                page=page,
            )


@diagnostic("Every timer belongs to a reaction, and its event is accepted", database=database, watched_by=_TIMERS)
def timers(using: str) -> Iterator[Finding]:
    page = ("projections_timer_changelist",)
    found = Timer.objects.using(using)
    for name in found.reactions():
        if not registry.has_reaction(name):
            yield Finding(
                f"reaction {name} has timers, but its code is gone: they never fire",
                f"Give them to another reaction with python manage.py move_timers {name} TO, or run"
                f" cancel_timers {name} --all.",
                Severity.WARNING,
                page=page,
            )
        rejected = found.of(name).failed()
        if number := rejected.count():
            error = rejected.values_list("error", flat=True).first()
            yield Finding(
                f"reaction {name}: {number:,} {'timer was' if number == 1 else 'timers were'} rejected: {error}",
                f"See python manage.py list_timers --reaction {name}, correct the cause, then run fire_timers {name}.",
                Severity.WARNING,
                page=page,
            )


@diagnostic("A worker is alive, and none has died", database=database, watched_by="projections.view_heartbeat")
def workers(using: str) -> Iterator[Finding]:
    if not any(each.mode is Mode.ASYNC for each in registry.all_projections()):
        return
    page = ("projections_heartbeat_changelist",)
    by_age = list(Heartbeat.objects.using(using).order_by("-seen_at"))
    dead = [each for each in by_age if not each.is_alive]
    if len(dead) == len(by_age):
        yield Finding(
            f"no worker has been seen in the last {MAX_SILENCE.seconds} s, so ASYNC projections do not advance",
            "Run python manage.py run_projections.",
            since=by_age[0].seen_at if by_age else None,
            page=page,
        )
        return
    for each in dead[:MAX_DEAD_WORKERS]:
        yield Finding(
            f"worker {each} was killed or hangs: it has sent no heartbeat for more than {MAX_SILENCE.seconds} s",
            "Look at its log and end its process if it still runs. The other workers continue its work.",
            Severity.WARNING,
            since=each.seen_at,
            page=page,
        )


def _remedy(report: status.Report) -> str:
    if report.status is ReportedStatus.STOPPED:
        return f"Correct the cause, then run python manage.py resume_projection {report.name}."
    if report.status is ReportedStatus.UNDECIDED:
        return f"Run python manage.py rebuild_projection {report.name}, or keep the rows with keep_rows {report.name}."
    if report.status in (ReportedStatus.OUTDATED, ReportedStatus.INCOMPLETE):
        return f"Run python manage.py rebuild_projection {report.name}."
    if report.status is ReportedStatus.WAITING:
        return "Deploy the newer code, and start workers with it."
    if report.status is ReportedStatus.NO_WORKER:
        return "Run python manage.py run_projections. A worker that was started with names runs only these."
    if report.status is ReportedStatus.UNAVAILABLE:
        return "Bring the system that it needs back. The projection then goes on by itself."
    if report.status is ReportedStatus.PAUSED:
        return f"Run python manage.py resume_projection {report.name}."
    return "See its rate in list_projections. Run more workers, or give it more shards."
