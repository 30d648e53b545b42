"""The diagnostic that lists the events which Python cannot represent."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Final

from events.models import Event
from events.storage.query_files import fetch_tuples, read_query
from events.storage.rows import fetch_page, is_marked
from events.types import EARLIEST, LATEST

from .diagnostics import Finding, Severity, diagnostic
from .statistics import newest_position

SECONDS: Final = 3.0
STATEMENT_SECONDS: Final = 0.5
FIRST_POSITIONS: Final = 64
MAX_LISTED: Final = 20


@diagnostic("Python can read the newest events")
def unreadable(using: str) -> Iterator[Finding]:
    """Yield a finding for each event that cannot be read, from the newest back, for SECONDS at most."""
    for event in islice(_unreadable(using), MAX_LISTED):
        yield Finding(
            f"the event {event.event_id} at position {event.position} cannot be read: {event.unreadable}",
            f"Correct what appended it. Readers raise UnreadableEvent; read_all(after={event.position}) goes on behind"
            " it. Projections park it: skip it, and append an event that Python can read.",
            Severity.WARNING,
        )


def _unreadable(using: str) -> Iterator[Event]:
    deadline = time.monotonic() + SECONDS
    up_to, positions = newest_position(using), FIRST_POSITIONS
    while up_to > 0 and time.monotonic() < deadline:
        after, started = max(0, up_to - positions), time.monotonic()
        for position in _suspects(after, up_to, using):
            yield from filter(is_marked, fetch_page(Event.objects.using(using).filter(position=position), 1))
        seconds = max(time.monotonic() - started, 0.001)
        up_to = after
        positions = max(FIRST_POSITIONS, min(4 * positions, int(positions * STATEMENT_SECONDS / seconds)))


def _suspects(after: int, up_to: int, using: str) -> list[int]:
    arguments = {"after": after, "up_to": up_to, "earliest": EARLIEST, "latest": LATEST, "limit": MAX_LISTED}
    return [position for (position,) in fetch_tuples(using, read_query(__package__, "suspect_events"), arguments)]
