"""What `events_doctor` looks at: a list that any app adds to, by a module `doctor` that registers its examinations."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from django.utils.module_loading import autodiscover_modules


class Severity(StrEnum):
    """How bad a finding is."""

    ERROR = "error"  # events may get lost, or are
    WARNING = "warning"  # it will become a problem


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be, and what to do about it."""

    problem: str
    remedy: str
    severity: Severity = Severity.ERROR


Examine = Callable[[str], Iterator[Finding]]


@dataclass(frozen=True)
class Examination:
    """One thing to look at.

    Attributes:
        name: what holds where there are no findings.
        examine: yields the findings in the database of an alias.
    """

    name: str
    examine: Examine


_registered: list[Examination] = []


def examinations() -> list[Examination]:
    """Return the examinations of all apps; their modules are imported only now, for no other program needs them."""
    autodiscover_modules("doctor")
    return _registered


def examination(name: str) -> Callable[[Examine], Examine]:
    """Add a function to what the doctor looks at."""

    def decorator(examine: Examine) -> Examine:
        _registered.append(Examination(name, examine))
        return examine

    return decorator
