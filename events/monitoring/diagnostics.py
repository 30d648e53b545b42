"""The diagnostics that `events_doctor` and the dashboard run; any app can add some."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from typing import Final

from django.db import Error, connections, transaction

from events.routing import has_store, where_the_store_is
from events.storage import server_errors

from .session import diagnosis


class Severity(StrEnum):
    """The severity of a finding."""

    ERROR = "error"  # events are lost, or may be lost
    WARNING = "warning"  # it can become a problem


@dataclass(frozen=True)
class Finding:
    """A problem and its remedy.

    Attributes:
        since: when the problem began; None if that is not known.
        page: the name and the keys of the page of the admin that shows more; empty if there is none.
    """

    problem: str
    remedy: str
    severity: Severity = Severity.ERROR
    since: datetime | None = None
    page: tuple[str, ...] = ()


Diagnose = Callable[[str], Iterator[Finding]]


@dataclass(frozen=True)
class Diagnostic:
    """A check of a live store.

    Attributes:
        name: a sentence that is true if there are no findings.
        diagnose: yields the findings in the database with an alias.
        database: returns the alias of the only database that it is about; None if it is about every store.
        watched_by: the permission of the users who see its findings on the dashboard, which runs it every few seconds;
            empty if it takes too long.
    """

    name: str
    diagnose: Diagnose
    database: Callable[[], str] | None = None
    watched_by: str = ""

    def findings(self, using: str) -> list[Finding]:
        """Return its findings. A diagnostic that cannot run yields one finding that says so."""
        try:
            with diagnosis(using), transaction.atomic(using):  # a savepoint, for the transaction of the caller
                return list(self.diagnose(using))
        except Exception as error:  # also one in the code of another app
            line = f"{type(error).__name__}: {server_errors.first_line(error)}"
            remedy = "Solve the problems above first."
            if isinstance(error, Error):
                line, remedy = server_errors.in_words(error, using)
                if server_errors.is_lost(error):
                    connections[using].close()  # the next diagnostic connects again
            return [Finding(f"could not be checked: {self.name} ({line})", remedy)]


_modules: list[str] = []
_diagnostics: list[Diagnostic] = []


def register_module(name: str) -> None:
    """Add the diagnostics of the module with a dotted name; call this in `AppConfig.ready`.

    The module is imported when the doctor runs, because no other program needs it.
    """
    if name not in _modules:
        _modules.append(name)


def registered(using: str) -> list[Diagnostic]:
    """Return the diagnostics of all apps for a database that has a store."""
    for name in _modules:
        import_module(name)
    return [each for each in _diagnostics if each.database is None or each.database() == using]


def diagnostics(using: str) -> list[Diagnostic]:
    """Return the diagnostics to run on a database. Without a store, only its absence is worth a finding."""
    return [HAS_STORE] if HAS_STORE.findings(using) else registered(using)


def _has_store(using: str) -> Iterator[Finding]:
    if has_store(using):
        return
    if trouble := server_errors.misplaced(using):
        yield Finding(*trouble)
    else:
        yield Finding(f"the database {using!r} has no event store", where_the_store_is(using))


HAS_STORE: Final = Diagnostic("The database has an event store", _has_store)


def diagnostic(
    name: str, *, database: Callable[[], str] | None = None, watched_by: str = ""
) -> Callable[[Diagnose], Diagnose]:
    """Return a decorator that adds a function to the diagnostics; see `Diagnostic` for the arguments."""

    def decorator(diagnose: Diagnose) -> Diagnose:
        _diagnostics.append(Diagnostic(name, diagnose, database, watched_by))
        return diagnose

    return decorator
