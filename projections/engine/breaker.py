"""The breaker: find out that the code of a projection, or something it depends on, is broken.

Then event after event fails, and the projection stops before it parks all of them. The record of the last events is
part of a shard's checkpoint. It exists only while one of the last events has failed.
"""

from collections.abc import Iterable
from hashlib import blake2s
from typing import Final

from django.utils import timezone

from projections.models import Checkpoint

LAST_EVENTS: Final = 200
MIN_AGGREGATES: Final = 20


def note_handled(checkpoint: Checkpoint, number: int) -> None:
    """Add `number` handled events to the record, if there is one."""
    if checkpoint.recent is not None and number:
        _add(checkpoint, [number])


def note_failed(checkpoint: Checkpoint, aggregate_id: str) -> None:
    """Add a failed event to the record; the first one begins it."""
    if checkpoint.recent is None:
        checkpoint.recent, checkpoint.failing_since = [], timezone.now()
    _add(checkpoint, [_key(aggregate_id)])


def note_waiting(checkpoint: Checkpoint, aggregate_ids: Iterable[str]) -> None:
    """Add events that wait behind a failed event of their aggregate.

    An event counts as failed if a failure of its aggregate is on the record. Aggregates that an operator has left
    parked for long are no sign that the code is broken, so their events do not count.
    """
    if checkpoint.recent is not None:
        failed = set(checkpoint.recent)
        _add(checkpoint, [key for key in map(_key, aggregate_ids) if key in failed])


def forget(checkpoint: Checkpoint) -> None:
    checkpoint.recent = checkpoint.failing_since = None


def count(checkpoint: Checkpoint) -> tuple[int, int]:
    """Return how many of the last events have failed, and how many aggregates they belong to."""
    failed = [entry for entry in checkpoint.recent or () if isinstance(entry, str)]
    return len(failed), len(set(failed))


def is_broken(checkpoint: Checkpoint) -> bool:
    """Return whether so many of the last events have failed that no single event can be the cause."""
    failed, aggregates = count(checkpoint)
    return failed * 2 > LAST_EVENTS and aggregates >= MIN_AGGREGATES


def reason(checkpoint: Checkpoint, projection: str, error: str) -> str:
    """Return what an operator has to know when the breaker has stopped a projection, or its rebuild."""
    failed, aggregates = count(checkpoint)
    since = f"{checkpoint.failing_since:%Y-%m-%d %H:%M:%S %Z}" if checkpoint.failing_since else "now"
    return (
        f"{failed} of the last {LAST_EVENTS} events could not be handled, of {aggregates} aggregates, since {since}, so"
        f" the code or something it depends on is broken. Newest error: {error}. Deploy a correction, then run"
        f" resume_projection {projection}: it retries these events at once"
    )


def _add(checkpoint: Checkpoint, entries: list[int | str]) -> None:
    """Append to the record, and remove what is older than the last events; a record without failures ends."""
    kept: list[int | str] = []
    room = LAST_EVENTS
    for entry in reversed([*(checkpoint.recent or ()), *entries]):
        if room <= 0:
            break
        size = min(entry, room) if isinstance(entry, int) else 1
        room -= size
        if isinstance(entry, int) and kept and isinstance(kept[-1], int):
            kept[-1] += size
        else:
            kept.append(size if isinstance(entry, int) else entry)
    if any(isinstance(entry, str) for entry in kept):
        checkpoint.recent = kept[::-1]
    else:
        forget(checkpoint)


def _key(aggregate_id: str) -> str:
    """Return a short name: an aggregate id may have hundreds of characters, and the record is saved with each pass."""
    return blake2s(aggregate_id.encode(), digest_size=6).hexdigest()
