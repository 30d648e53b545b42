"""The entries of a timeline of events: the author, the time, the changes, the cause and related events."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models.fields.json import KeyTextTransform
from django.utils import timezone, translation
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil

from events.models import Event
from events.types import EARLIEST, LATEST

from . import json_tree
from .links import event_list_url, event_url

# The keys of the metadata that may name the user who caused an event, in order of precedence.
ACTOR_KEYS = ("actor", "user", "username", "user_id")
MAX_TRAIL_DEPTH = 6


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An event on the timeline.

    Attributes:
        event: the event.
        who: the user who caused it, from its metadata.
        data, metadata: HTML; the data has marks on the changes since the event before it.
        is_compared: whether the data was compared with the event before it.
        url: the URL of its page.
        cause: the event that caused it, if it is stored and the user may read it.
        cause_url: the URL of the cause's page.
        cause_id: the id of the cause, from the metadata.
        correlation_id: the correlation id, from the metadata.
        correlated_url: the URL of the list of all events with this correlation id.
    """

    event: Event
    url: str
    who: str
    data: SafeString
    metadata: SafeString
    is_compared: bool
    cause: Event | None
    cause_url: str
    cause_id: str
    correlation_id: str
    correlated_url: str

    @property
    def happened(self) -> datetime | None:
        return showable(self.event.timestamp)

    @property
    def stored(self) -> datetime | None:
        return showable(self.event.recorded_at)

    @property
    def ago(self) -> str:
        return ago(self.happened) if self.happened else ""

    @property
    def was_stored_later(self) -> bool:
        return self.happened != self.stored


def entries(
    events: Sequence[Event], before: Event | None, categories: Collection[str] | None, site: str
) -> list[Entry]:
    """Return the entries of events of one aggregate, newest first.

    Args:
        before: the event before the oldest of them; None if there is none, or if it is not compared.
        categories: the categories that the user may read; None for all.
        site: the name of the admin site that the links stay in.
    """
    causes = _causes(events, categories)
    return [
        _entry(event, previous, site, causes.get(_text(event.metadata, "causation_id")))
        for event, previous in zip(events, [*events[1:], before], strict=False)
    ]


def entry(event: Event, before: Event | None, categories: Collection[str] | None, site: str, max_values: int) -> Entry:
    """Return the entry of one event with at most `max_values` values of its data."""
    causes = _causes([event], categories)
    return _entry(event, before, site, causes.get(_text(event.metadata, "causation_id")), max_values)


def drop_json(events: Iterable[Event]) -> None:
    """Remove the JSON of events that are drawn: a rendered response lives until a garbage collection."""
    for event in events:
        event.data = event.metadata = None


@dataclass(frozen=True, kw_only=True)
class Step:
    """An event of a trail, and its depth in the chain of causes."""

    event: Event
    depth: int


def trail(event: Event, categories: Collection[str] | None, limit: int) -> list[Step]:
    """Return the events with the same correlation id by position; an empty list without a correlation id."""
    correlation_id = _text(event.metadata, "correlation_id")
    if not correlation_id:
        return []
    events: Any = Event.objects.using(event._state.db).within(categories).correlated_by(correlation_id).headings()
    events = events.annotate(cause=KeyTextTransform("causation_id", "metadata"))
    depths: dict[str, int] = {}
    for each in (found := list(events.order_by("position")[:limit])):
        depths[str(each.event_id)] = min(depths.get(each.cause, -1) + 1, MAX_TRAIL_DEPTH)
    return [Step(event=each, depth=depths[str(each.event_id)]) for each in found]


def who(event: Event) -> str:
    """Return the user who caused an event, from its metadata; an empty string if it has none."""
    return next((text for key in ACTOR_KEYS if (text := _text(event.metadata, key))), "")


def ago(moment: datetime) -> str:
    """Return a rough description of how long ago a moment was, in English as the sentences around it."""
    now = timezone.now()
    with translation.override("en"):
        if moment > now:
            return f"in {timeuntil(moment, now, depth=1)}"
        return "just now" if (now - moment).total_seconds() < 60 else f"{timesince(moment, now, depth=1)} ago"


def _entry(
    event: Event, before: Event | None, site: str, cause: Event | None, max_values: int = json_tree.MAX_VALUES
) -> Entry:
    correlation_id = _text(event.metadata, "correlation_id")
    return Entry(
        event=event,
        url=event_url(site, event.position),
        who=who(event),
        data=json_tree.tree(event.data, before.data if before else None, max_values),
        metadata=json_tree.tree(event.metadata, max_values=max_values),
        is_compared=json_tree.are_compared(event.data, before.data if before else None),
        cause=cause,
        cause_url=event_url(site, cause.position) if cause else "",
        cause_id=_text(event.metadata, "causation_id"),
        correlation_id=correlation_id,
        correlated_url=event_list_url(site, correlation_id=correlation_id) if correlation_id else "",
    )


def _causes(events: Iterable[Event], categories: Collection[str] | None) -> dict[str, Event]:
    """Return the causes of events by their ids in the metadata."""
    ids = {
        text: event_id
        for event in events
        if (text := _text(event.metadata, "causation_id")) and (event_id := uuid_or_none(text))
    }
    if not ids:
        return {}
    using = next(iter(events))._state.db
    found = Event.objects.using(using).within(categories).headings().filter(event_id__in=ids.values())
    by_id = {event.event_id: event for event in found}
    return {text: by_id[event_id] for text, event_id in ids.items() if event_id in by_id}


def showable(moment: datetime | None) -> datetime | None:
    """Return a moment if every time zone can show it."""
    return moment if moment and EARLIEST <= moment <= LATEST else None


def _text(metadata: dict[str, Any] | None, key: str) -> str:
    """Return a text or integer of the metadata as text; an empty string for other values."""
    value = (metadata or {}).get(key, "")
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def uuid_or_none(text: str) -> UUID | None:
    """Return the UUID that `text` is; None if it is not a UUID."""
    try:
        return UUID(text)
    except ValueError:
        return None
