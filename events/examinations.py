"""What `events_doctor` looks at: a list that other apps may add to."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum


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


examinations: list[Examination] = []


def examination(name: str) -> Callable[[Examine], Examine]:
    """Add a function to what the doctor looks at."""

    def decorator(examine: Examine) -> Examine:
        examinations.append(Examination(name, examine))
        return examine

    return decorator
