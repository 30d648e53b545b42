"""The kinds of values that settings have. Each kind finds what is wrong with a value."""

import math
import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final

from .uri import is_uri_reference

# The codename of its permission, such as `view_event:CATEGORY`, has at most 100 characters in Django.
MAX_CATEGORY_CHARACTERS: Final = 80
THROTTLED: Final = ("read", "append", "import", "export", "stream")
ALLOW: Final = "allow"
REJECT: Final = "reject"
ALL: Final = "all"
TYPED: Final = "typed"
NONE: Final = "none"
MAX_INTEGER: Final = 2**31 - 1
# PostgreSQL counts `lock_timeout` in milliseconds, as an integer.
MAX_LOCK_SECONDS: Final = 2_000_000
MAX_SECONDS: Final = 1_000_000_000


@dataclass(frozen=True)
class Mistake:
    """A value that a setting may not have.

    Attributes:
        part: where the value is inside the setting, such as `[0]`; empty for the whole setting.
        value: the wrong value.
        wanted: what to give instead.
    """

    part: str
    value: Any
    wanted: str

    def sentence(self, setting: str) -> str:
        """Return what is wrong with a setting of this name."""
        return f"{setting}{self.part} is {self.value!r}."

    @property
    def remedy(self) -> str:
        return f"Give {self.wanted}, or remove the setting."


@dataclass(frozen=True)
class Kind:
    """The kind of a single value.

    Attributes:
        wanted: the values of this kind, in words.
        holds: returns whether a value is of this kind.
    """

    wanted: str
    holds: Callable[[Any], bool]

    def mistakes(self, value: Any) -> Iterator[Mistake]:
        if not self.holds(value):
            yield Mistake("", value, self.wanted)


@dataclass(frozen=True)
class ListOf:
    """The kind of lists whose members are of one kind."""

    member: Kind

    def mistakes(self, value: Any) -> Iterator[Mistake]:
        if not isinstance(value, Collection) or isinstance(value, (str, bytes, Mapping)):
            yield Mistake("", value, f"a list; each member must be {self.member.wanted}")
            return
        for index, each in enumerate(value):
            for mistake in self.member.mistakes(each):
                yield Mistake(f"[{index}]{mistake.part}", mistake.value, mistake.wanted)


@dataclass(frozen=True)
class MappingOf:
    """The kind of mappings from some keys to values of one kind."""

    keys: Collection[str]
    member: Kind

    def mistakes(self, value: Any) -> Iterator[Mistake]:
        if not isinstance(value, Mapping):
            yield Mistake("", value, f"a dict; {self._entries()}")
            return
        for key, each in value.items():
            if key not in self.keys:
                yield Mistake(f"[{key!r}]", each, self._entries())
            for mistake in self.member.mistakes(each):
                yield Mistake(f"[{key!r}]{mistake.part}", mistake.value, mistake.wanted)

    def _entries(self) -> str:
        return f"each key must be one of {', '.join(self.keys)}, each value {self.member.wanted}"


def _whole_number(most: int) -> Kind:
    return Kind(f"a whole number from 1 to {most:,}", lambda value: type(value) is int and 1 <= value <= most)


def _seconds(most: int) -> Kind:
    return Kind(
        f"a number of seconds above 0, such as 0.5, up to {most:,}",
        lambda value: _is_number(value) and 0 < value <= most,
    )


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and math.isfinite(value)


def _is_category(value: Any) -> bool:
    # No aggregate id has control characters (Cc) or halves of surrogate pairs (Cs).
    forbidden = r"-\x00-\x1f\x7f-\x9f\ud800-\udfff"
    return isinstance(value, str) and bool(re.fullmatch(rf"[^{forbidden}]{{1,{MAX_CATEGORY_CHARACTERS}}}", value))


def _is_rate(value: Any) -> bool:
    pattern = r"[1-9][0-9]*/(s|sec|second|m|min|minute|h|hour|d|day)"
    return isinstance(value, str) and bool(re.fullmatch(pattern, value))


DELAYS: Final = ListOf(
    Kind(
        f"a number of seconds from 0 to {MAX_SECONDS:,}", lambda value: _is_number(value) and 0 <= value <= MAX_SECONDS
    )
)
_CATEGORIES: Final = ListOf(
    Kind(f"a category: 1 to {MAX_CATEGORY_CHARACTERS} characters, no dash, no control characters", _is_category)
)
_SOURCE: Final = Kind(
    "a URI reference that is not empty, such as https://shop.example or /shops/7",
    lambda value: isinstance(value, str) and value != "" and is_uri_reference(value),
)

# As a header carries it.
_SECRET: Final = Kind(
    "a text of ASCII characters without spaces, or an empty text",
    lambda value: (
        isinstance(value, str) and value.isascii() and (value == "" or (value.isprintable() and " " not in value))
    ),
)

Number = Annotated[int, _whole_number(MAX_INTEGER)]
Seconds = Annotated[float, _seconds(MAX_SECONDS)]
LockSeconds = Annotated[float, _seconds(MAX_LOCK_SECONDS)]
Switch = Annotated[bool, Kind("True or False", lambda value: type(value) is bool)]
Delays = Annotated[Sequence[float], DELAYS]
Categories = Annotated[Sequence[str], _CATEGORIES]
Rates = Annotated[Mapping[str, str], MappingOf(THROTTLED, Kind("a rate such as '600/min'", _is_rate))]
Source = Annotated[str, _SOURCE]
Secret = Annotated[str, _SECRET]
AppendOverHttp = Annotated[str, Kind(f"{ALL!r}, {TYPED!r} or {NONE!r}", lambda value: value in (ALL, TYPED, NONE))]
UnknownTypes = Annotated[str, Kind(f"{ALLOW!r} or {REJECT!r}", lambda value: value in (ALLOW, REJECT))]
