"""`manage.py rebuild_projection`: make a projection's rows anew from the events, while the old ones are served."""

import sys
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from events.routing import database
from events.storage import ordering
from projections import registry
from projections.exceptions import ProjectionError
from projections.management.base import operator
from projections.models import Rebuild
from projections.operations import actions, status
from projections.workers.supervisor import ended_by_signals, log_to_stderr
from projections.workers.worker import Until, Worker


class Command(BaseCommand):
    help = (
        "Fill copies of the projection's tables from the first event on, and then put the new rows in place of the old"
        " ones, in one transaction. Until then the old ones are served. Run it again when it was interrupted."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--in-place", action="store_true", help="empty the tables and fill them while they serve")
        parser.add_argument("--cancel", action="store_true", help="give up a rebuild; the old rows stay")
        parser.add_argument("--yes", action="store_true", help="do not ask")
        parser.add_argument("--reason", default="", help="for the record")

    def handle(self, *args: Any, **options: Any) -> None:
        name: str = options["name"]
        try:
            projection = registry.get(name)
            if options["cancel"]:
                actions.cancel_rebuild(name, by=operator(), reason=options["reason"])
                self.stdout.write(f"The rebuild of {name} is given up; its rows are as they were.")
                return
            if not (options["yes"] or self._is_confirmed(name, options["in_place"])):
                raise CommandError("Nothing was done.")
            actions.ask_for_rebuild(name, by=operator(), reason=options["reason"], in_place=options["in_place"])
            log_to_stderr()
            self._follow(Worker([projection], until=Until.STOPPED, rebuilds_only=True, on_round=self._goes_on), name)
        except ProjectionError as error:
            raise CommandError(str(error)) from error

    def _is_confirmed(self, name: str, in_place: bool) -> bool:
        if not sys.stdin.isatty():
            raise CommandError("Nobody is there to confirm it; pass --yes")
        found = status.report(name)
        served = "its rows are incomplete meanwhile" if in_place else "its rows are served meanwhile"
        self.stdout.write(f"Rebuild {name}, version {found.rows_version} -> {found.version}; {served}.")
        return input("Go on? [y/N] ").strip().lower() in ("y", "yes")

    def _follow(self, worker: Worker, name: str) -> None:
        self._name, self._error = name, ""
        start = ordering.settled_position(database())
        with self._progress() as self._bar, ended_by_signals(worker.stop):
            self._task = self._bar.add_task(name, total=start, completed=0)
            worker.run()
        if self._error:
            served = "its rows are incomplete" if self._in_place else "its old rows are served"
            raise CommandError(
                f"{name} was not rebuilt; {served}. It failed at {self._error}\n"
                "Mend what is wrong, and run this again: it goes on from there. Or give it up with --cancel."
            )
        if Rebuild.objects.using(database()).filter(pk=name).exists():
            raise CommandError(f"Interrupted. Run it again, or let run_projections go on with it: {name}")
        found = status.report(name)
        parked = f"; {found.parked:,} events are parked" if found.parked else ""
        self.stdout.write(f"{name} is rebuilt: version {found.rows_version}, up to position {found.position}{parked}.")

    def _goes_on(self) -> bool:
        """Show how far it is; return False when there is nothing left to do, or nothing can be done."""
        rebuild = Rebuild.objects.using(database()).filter(pk=self._name).prefetch_related("projection__checkpoints")
        if (found := rebuild.first()) is None:
            self._bar.update(self._task, completed=self._bar.tasks[0].total)
            return False
        self._error, self._in_place = found.error, found.in_place
        done = status.progress(found)
        self._bar.update(self._task, completed=done * (self._bar.tasks[0].total or 0))
        return not self._error

    def _progress(self) -> Progress:
        return Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TaskProgressColumn(show_speed=True),
            TextColumn("{task.speed:,.0f} events/s"),
            TimeRemainingColumn(),
            console=Console(file=sys.stderr),
            disable=not sys.stderr.isatty(),
        )
