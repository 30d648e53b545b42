"""The metrics of the store for Prometheus: the state of the database, read when somebody asks.

So every process of a deployment answers alike, and a restart resets nothing. Counters that each process keeps for
itself would be wrong behind a server with several processes. Other apps add their own with `register_module`.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from importlib import import_module
from typing import Final

from django.utils import timezone

from events.integrity import seals
from events.storage import ordering
from events.storage.query_files import fetch_dicts, read_query

from . import statistics

MAX_OPEN_APPENDS: Final = 1_000
TABLES: Final = ("events_event", "events_aggregate", "events_seal")


class MetricKind(StrEnum):
    """What the value of a metric does."""

    GAUGE = "gauge"  # it rises and falls
    COUNTER = "counter"  # it only rises


@dataclass(frozen=True)
class Metric:
    """A metric with its present values.

    Attributes:
        name: its name; that of a counter ends in `_total`.
        help: what it is, in one sentence, with the unit.
        samples: its values, each with its labels; none if it has no value now.
    """

    name: str
    help: str
    samples: Sequence[tuple[Mapping[str, str], float]]
    kind: MetricKind = MetricKind.GAUGE


Measure = Callable[[str], Iterator[Metric]]

_modules: list[str] = []


def register_module(name: str) -> None:
    """Add the metrics of the module with a dotted name, which has a function `metrics(using)`.

    Call this in `AppConfig.ready`. The module is imported when metrics are read.
    """
    if name not in _modules:
        _modules.append(name)


def read(using: str) -> Iterator[Metric]:
    """Yield the metrics of all apps for the store in the database with the alias `using`.

    Raises:
        DatabaseError: the database does not answer, or has no store.
    """
    yield from metrics(using)
    for name in _modules:
        yield from import_module(name).metrics(using)


def metrics(using: str) -> Iterator[Metric]:
    """Yield the metrics of the store itself."""
    now = timezone.now()
    yield gauge(
        "events_settled_position",
        "The position up to which readers see all events",
        ordering.settled_position(using),
    )
    newest = statistics.newest_position(using)
    yield Metric("events_positions_total", "The position of the newest event", [({}, newest)], MetricKind.COUNTER)
    appends = statistics.open_appends(using, MAX_OPEN_APPENDS)
    yield gauge("events_open_appends", "Open transactions that have appended; readers wait for them", len(appends))
    yield gauge(
        "events_oldest_open_append_seconds",
        "How long the oldest of these transactions has been open; 0 without any",
        seconds_since(min((each.since for each in appends if each.since), default=None), now),
    )
    unsealed = seals.unsealed(using)
    yield gauge(
        "events_unsealed",
        f"Events that no seal covers yet, counted up to {seals.UnsealedEvents.MAX_COUNTED}",
        unsealed.events,
    )
    yield gauge(
        "events_oldest_unsealed_seconds",
        "How long ago the first of these events was stored; 0 without any",
        seconds_since(unsealed.since, now),
    )
    relations = fetch_dicts(using, read_query(__package__, "relations"), [list(TABLES)] * 2)
    yield Metric(
        "events_relation_bytes",
        "The size of a table or an index of the store, in bytes",
        [({"relation": row["name"]}, row["bytes"]) for row in relations],
    )
    yield gauge(
        "events_oldest_unfrozen_transactions",
        "The age of the oldest transaction id in a table of the store, in transactions; PostgreSQL stops at 2^31",
        max((row["age"] for row in relations if row["age"] is not None), default=0),
    )


def gauge(name: str, help: str, value: float) -> Metric:  # noqa: A002  # the field of Prometheus
    """Return a metric with one value and no labels."""
    return Metric(name, help, [({}, value)])


def seconds_since(moment: datetime | None, now: datetime) -> float:
    """Return the seconds since a moment, at least 0; 0 without a moment."""
    return max(0.0, (now - moment).total_seconds()) if moment else 0.0
