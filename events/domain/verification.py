"""The comparison of snapshots with the events that they were computed from."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from events.exceptions import InvalidEvent, UnreadableEvent
from events.models import Event
from events.summaries import message

from . import aggregates
from .aggregates import Aggregate, state_of
from .differences import differences
from .models import Snapshot
from .repository import Repository
from .snapshots import Snapshots, snapshots_of

# So many primary keys are in memory at once; of the states, a single one.
_PAGE = 1000


class Verified(NamedTuple):
    """A snapshot that was compared with its events, and what is wrong with it."""

    snapshot: Snapshot
    problems: list[str]


def verify(using: str) -> Iterator[Verified]:
    """Compare the snapshots that this code would use with their events, one after the other."""
    for aggregate_class, snapshots in _classes():
        repository = Repository(aggregate_class, using=using)
        for key in _keys(aggregate_class, snapshots.fingerprint, using):
            snapshot = Snapshot.objects.using(using).filter(pk=key).first()
            if snapshot:  # it may have been deleted since
                yield Verified(snapshot, _problems(snapshot, snapshots, repository))


def of_other_code(using: str) -> Any:
    """Return a queryset of the snapshots that this code would not use."""
    known = [snapshots.fingerprint for _, snapshots in _classes()]
    return Snapshot.objects.using(using).exclude(fingerprint__in=known)


def _classes() -> Iterator[tuple[type[Aggregate], Snapshots[Any]]]:
    for aggregate_class in aggregates.defined():
        try:
            yield aggregate_class, snapshots_of(aggregate_class)
        except InvalidEvent:  # its states have no form in JSON, so it has no snapshots
            continue


def _keys(aggregate_class: type[Aggregate], fingerprint: str, using: str) -> Iterator[int]:
    found = Snapshot.objects.using(using).filter(
        fingerprint=fingerprint, aggregate_id__startswith=f"{aggregate_class.category}-"
    )
    after = 0
    while page := list(found.filter(pk__gt=after).order_by("pk").values_list("pk", flat=True)[:_PAGE]):
        yield from page
        after = page[-1]


def _problems(snapshot: Snapshot, snapshots: Snapshots[Any], repository: Repository[Any]) -> list[str]:
    """Return what is wrong with a snapshot."""
    aggregate_id, version = snapshot.aggregate_id, snapshot.version
    last: Sequence[Event] = []
    if version > 0:
        last = repository.store.get_events_for_aggregate(aggregate_id, after_version=version - 1, up_to_version=version)
    if [event.event_id for event in last] != [snapshot.event_id]:
        return [f"its last event, {snapshot.event_id}, is not in the history, so it is not used"]
    try:
        restored = snapshots.restored(aggregate_id, version, snapshot.state)
    except Exception as error:  # also those of a codec of the project
        return [f"its state cannot be read, so it is not used: {message(error)}"]
    try:
        folded = repository.load(aggregate_id, version)
    except UnreadableEvent as error:
        return [f"it cannot be compared: {error}"]
    return [
        f"{each.path} is {each.before!r} in the snapshot and {each.after!r} by the events"
        for each in differences(state_of(restored), state_of(folded))
    ]
