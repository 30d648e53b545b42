"""The diagnostics that `events_doctor` and the dashboard run; any app can add some."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib import import_module

from django.db import DatabaseError, transaction

from events.exceptions import EventStoreError


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
        watched_by: the permission of the users who see its findings on the dashboard, which runs it every few seconds;
            empty if it takes too long.
    """

    name: str
    diagnose: Diagnose
    watched_by: str = ""

    def findings(self, using: str) -> list[Finding]:
        """Return its findings; if the database does not let it read, that is the finding."""
        try:
            with transaction.atomic(using):  # a savepoint, because an error would abort an open transaction
                return list(self.diagnose(using))
        except (DatabaseError, EventStoreError) as error:
            line = str(error).strip().partition("\n")[0]
            remedy = "Solve the problems above first, or use a role with the necessary grants."
            return [Finding(f"could not be checked: {self.name} ({line})", remedy)]


_modules: list[str] = []
_diagnostics: list[Diagnostic] = []


def register_module(name: str) -> None:
    """Add the diagnostics of the module with a dotted name; call this in `AppConfig.ready`.

    The module is imported when the doctor runs, because no other program needs it.
    """
    if name not in _modules:
        _modules.append(name)


def diagnostics() -> list[Diagnostic]:
    """Return the diagnostics of all apps."""
    for name in _modules:
        import_module(name)
    return _diagnostics


def diagnostic(name: str, watched_by: str = "") -> Callable[[Diagnose], Diagnose]:
    """Return a decorator that adds a function to the diagnostics."""

    def decorator(diagnose: Diagnose) -> Diagnose:
        _diagnostics.append(Diagnostic(name, diagnose, watched_by))
        return diagnose

    return decorator
