"""`manage.py run_projections`: run a worker for the projections."""

from contextlib import suppress
from typing import Any

from django.core.management import CommandError, CommandParser
from django.db import OperationalError, connections

from events.management.endings import wrong_arguments
from events.routing import database
from events.storage import fixtures
from projections import registry
from projections.management.base import ProjectionCommand
from projections.workers.supervisor import log_to_stderr, run_in_processes
from projections.workers.worker import Until, work

WORK = f"{work.__module__}.{work.__qualname__}"


class Command(ProjectionCommand):
    help = (
        "Keep ASYNC projections up to date, and do requested rebuilds. Any number of workers on any number of machines"
        " share the work. SIGTERM or SIGINT (Ctrl-C) ends a worker after its present pass."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("names", nargs="*", metavar="NAME", help="only these projections")
        parser.add_argument("--processes", type=int, default=1, metavar="N", help="worker processes (%(default)s)")
        ends = parser.add_mutually_exclusive_group()
        ends.add_argument("--once", action="store_true", help="end after one pass over each shard")
        ends.add_argument("--until-caught-up", action="store_true", help="end when all stored events are handled")

    def so_far(self) -> str:
        return "What was handled is committed. Run the command again: it continues."

    def check(self, *args: Any, **kwargs: Any) -> None:
        # From 6.0 on, Django's checks query the database, and a worker may start before the database does.
        with suppress(OperationalError):
            super().check(*args, **kwargs)

    def handle(self, *args: Any, **options: Any) -> None:
        names, processes = options["names"], options["processes"]
        if processes < 1:
            raise wrong_arguments(f"--processes is {processes}; give 1 or more")
        if not registry.named(names):
            raise CommandError("There are no projections; register them in an app's projections.py")
        until = Until.ONCE if options["once"] else Until.CAUGHT_UP if options["until_caught_up"] else Until.STOPPED
        if until is not Until.STOPPED:
            with connections[database()].temporary_connection():
                pass  # else it would retry for a while, as after an outage
        if processes > 1 and fixtures.is_of_a_test(connections[database()]):
            raise CommandError(
                "--processes starts processes, which would work on the project's own database, not on the one of this"
                " test. Use one process, or eager_events of events.testing"
            )
        log_to_stderr()
        if processes == 1:
            work(names, until.name)
        elif not run_in_processes(WORK, (names, until.name), processes, replace=until is Until.STOPPED):
            raise CommandError("A worker process ended with an error; see above")
