"""`manage.py rebuild_projection`: rebuild a projection's rows from the events, while the old rows are served."""

import sys
from typing import Any

from django.core.management import CommandError, CommandParser

from events.management.progress import progress
from events.plurals import number_of_events
from events.routing import database
from events.storage import ordering
from projections import registry
from projections.management.base import WritingCommand, operator
from projections.models import Rebuild
from projections.operations import actions, status
from projections.workers.supervisor import log_to_stderr, stop_on_signals
from projections.workers.worker import Worker


class Command(WritingCommand):
    help = (
        "Fill copies of the projection's tables from the first event on, then swap the new rows in, in one transaction."
        " The old rows are served until the swap. If the command is interrupted, run it again: it continues."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("name", metavar="NAME")
        parser.add_argument("--in-place", action="store_true", help="empty the served tables, and fill them again")
        parser.add_argument("--cancel", action="store_true", help="cancel a rebuild; the old rows stay")
        parser.add_argument("--yes", action="store_true", help="do not ask for confirmation")
        parser.add_argument("--reason", default="", help="for the record")

    def so_far(self) -> str:
        return "list_projections shows how far the rebuild has come. Run the command again: it continues."

    def handle(self, *args: Any, **options: Any) -> None:
        name: str = options["name"]
        projection = registry.get(name)
        if options["cancel"]:
            actions.cancel_rebuild(name, by=operator(), reason=options["reason"])
            self.stdout.write(f"The rebuild of {name} is cancelled; its served rows stay.")
            return
        if not (options["yes"] or self._is_confirmed(name, options["in_place"])):
            raise CommandError("Nothing was done.")
        actions.ask_for_rebuild(name, by=operator(), reason=options["reason"], in_place=options["in_place"])
        log_to_stderr()
        self._follow(Worker([projection], rebuilds_only=True, should_continue=self._is_running), name)

    def _is_confirmed(self, name: str, in_place: bool) -> bool:
        if not sys.stdin.isatty():
            raise CommandError("A rebuild needs confirmation, but there is no terminal; pass --yes")
        found = status.report(name)
        served = "its rows are incomplete until the end" if in_place else "its old rows are served until the end"
        self.stdout.write(f"Rebuild {name}, version {found.rows_version} -> {found.version}; {served}.")
        try:
            return input("Continue? [y/N] ").strip().lower() in ("y", "yes")
        except EOFError:  # Ctrl-D
            return False

    def _follow(self, worker: Worker, name: str) -> None:
        self._name, self._error = name, ""
        self._total = ordering.settled_position(database())
        with progress() as self._bar, stop_on_signals(worker.stop):
            self._task = self._bar.add_task(name, total=self._total, events=0)
            worker.run()
        if self._error:
            served = "its rows are incomplete" if self._in_place else "its old rows are served"
            raise CommandError(
                f"{name} was not rebuilt; {served}. It failed at {self._error}\n"
                "Correct the cause and run this command again: it continues from there. Or cancel it with --cancel."
            )
        if Rebuild.objects.using(database()).filter(pk=name).exists():
            raise CommandError(f"The rebuild of {name} was interrupted. Run this again, or let a worker continue it")
        found = status.report(name)
        parked = f"; {number_of_events(found.parked)} parked" if found.parked else ""
        self.stdout.write(f"{name} is rebuilt: version {found.rows_version}, up to position {found.position}{parked}.")

    def _is_running(self) -> bool:
        """Show the progress; return False when the rebuild has ended or failed."""
        rebuild = Rebuild.objects.using(database()).filter(pk=self._name).prefetch_related("projection__checkpoints")
        if (found := rebuild.first()) is None:
            self._show(1)
            return False
        self._error, self._in_place = found.error, found.in_place
        self._show(status.progress(found))
        return not self._error

    def _show(self, done: float) -> None:
        events = round(done * self._total)
        self._bar.update(self._task, completed=events, events=events)
