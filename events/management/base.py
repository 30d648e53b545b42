"""The base classes of the management commands: how they reach the database, and how they end early."""

import sys
from collections.abc import Sequence
from typing import Any

from django.core.management import BaseCommand, CommandError, CommandParser
from django.db import connections

from events.routing import database, has_store, where_the_store_is
from events.storage import autocommit, server_errors

from . import endings
from .endings import Ending, ExitCode, Interrupted, wrong_arguments


class ReportingCommand(BaseCommand):
    """A command that ends early with one line, which says why, how far it came, and what to do.

    It does so without a database, without rights, when its output is closed, at Ctrl-C and the like. `--traceback`
    shows the error itself. An error in the code of the project always has its traceback.
    """

    _called_from_command_line: bool = False

    def so_far(self) -> str:
        """Return, in sentences, what the command has done up to now, and how to do the rest."""
        return "Nothing was changed. Run the command again."

    def run_from_argv(self, argv: Sequence[str]) -> None:
        endings.open_streams(self)
        with endings.interrupted_by_signals():
            try:
                super().run_from_argv(list(argv))
            except Interrupted as error:  # before its work or after it
                self.stderr.write(str(self._told(endings.of_signal(error.number))))
                sys.exit(128 + error.number)
            except OSError as error:  # Django could not write the line either
                if endings.of_output(error) is None:
                    raise
                endings.discard(sys.stderr)
                sys.exit(ExitCode.OUTPUT)

    def execute(self, *args: Any, **options: Any) -> Any:
        try:
            output = self._execute(*args, **options)
            self.stdout.flush()
            return output
        except CommandError as error:
            self._flush_after(error)
            raise
        except BaseException as error:
            if (ending := endings.of(error, options.get("database") or database())) is None:
                raise
            raise self._told(ending) from error

    def _execute(self, *args: Any, **options: Any) -> Any:
        """Do what Django's `execute` does; subclasses prepare the database before it."""
        return super().execute(*args, **options)

    def _flush_after(self, cause: CommandError) -> None:
        try:
            self.stdout.flush()
        except OSError as error:
            if ending := endings.of_output(error):
                raise self._told(ending) from cause

    def _told(self, ending: Ending) -> CommandError:
        if ending.code is ExitCode.OUTPUT and self._called_from_command_line:
            endings.discard(sys.stdout)
        so_far = "" if ending.code is ExitCode.FAILED else self.so_far()
        sentences = filter(None, (f"{ending.reason}.", ending.remedy, so_far))
        return CommandError(" ".join(sentences), returncode=ending.code)


class StoreCommand(ReportingCommand):
    """A command for the store in one database; its alias is `options["database"]`.

    Attributes:
        needs_store: whether the command is rejected for a database without the tables of the store.
    """

    needs_store = True

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--database", default=database(), help="the alias of the database (%(default)s)")

    def _execute(self, *args: Any, **options: Any) -> Any:
        if options["database"] not in connections:
            raise wrong_arguments(f"--database: there is no {options['database']!r} in DATABASES")
        autocommit.turn_on(options["database"])
        connections[options["database"]].ensure_connection()
        if self.needs_store and not has_store(options["database"]):
            if trouble := server_errors.misplaced(options["database"]):
                raise CommandError(str(trouble), returncode=ExitCode.DATABASE)
            remedy = where_the_store_is(options["database"])
            message = f"The database {options['database']!r} has no event store. {remedy}"
            raise CommandError(message, returncode=ExitCode.DATABASE)
        return super()._execute(*args, **options)
