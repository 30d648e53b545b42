"""The entries of a timeline of events: the author, the time, the changes, the cause and the flow."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Max
from django.utils import timezone, translation
from django.utils.safestring import SafeString
from django.utils.timesince import timesince, timeuntil

from events.exceptions import InvalidEvent
from events.formats.serialization import uuid_of
from events.models import Event
from events.storage import rows
from events.types import EARLIEST, LATEST

from . import json_tree
from .links import event_url, flow_url

# The keys of the metadata that may name the user who caused an event, in order of precedence.
ACTOR_KEYS = ("actor", "user", "username", "user_id")
# The last event of the same type is looked for among this many versions: a type may be rare in a long history.
COMPARED_VERSIONS = 1000


@dataclass(frozen=True, kw_only=True)
class Entry:
    """An event on the timeline.

    Attributes:
        event: the event.
        who: the user who caused it, from its metadata.
        data, metadata: HTML; the data has marks on the changes since the last event of the same type.
        compared_with: the version of that event; None: the data is not compared.
        url: the URL of its page.
        cause: the event that caused it, if it is stored and the user may read it.
        cause_url: the URL of the cause's page.
        flow_url: the URL of the page of its flow.
    """

    event: Event
    url: str
    who: str
    data: SafeString
    metadata: SafeString
    compared_with: int | None
    cause: Event | None
    cause_url: str
    flow_url: str

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
    events: Sequence[Event],
    earlier: Sequence[Event],
    categories: Collection[str] | None,
    site: str,
    max_values: int = json_tree.MAX_VALUES,
) -> list[Entry]:
    """Return the entries of events of one aggregate.

    Args:
        events: newest first.
        earlier: events before them to compare with, newest first.
        categories: the categories that the user may read; None for all.
        site: the name of the admin site that the links stay in.
        max_values: the largest number of values of each event's data.
    """
    causes = _causes(events, categories)
    last_of_type = {event.type: event for event in reversed(earlier)}
    drawn = []
    for event in reversed(events):
        cause = causes.get(text_of(event.metadata, "causation_id"))
        drawn.append(_entry(event, last_of_type.get(event.type), cause, site, max_values))
        last_of_type[event.type] = event
    return drawn[::-1]


def earlier_of_same_types(events: Sequence[Event]) -> list[Event]:
    """Return the last event of each type before `events` of one aggregate, newest first, as many as fit on a page."""
    if not events:
        return []
    oldest = events[-1]
    history = Event.objects.using(oldest._state.db).of_aggregate(oldest.aggregate_id)
    versions = last_versions(oldest, {event.type for event in events})
    return rows.fetch_page(history.filter(version__in=versions).order_by("-version"), len(versions) or 1)


def last_versions(event: Event, types: Collection[str]) -> list[int]:
    """Return the last version of each of `types` before `event`, among the COMPARED_VERSIONS before it."""
    history = Event.objects.using(event._state.db).of_aggregate(event.aggregate_id).of_types(*types).order_by()
    near = history.filter(version__lt=event.version, version__gte=event.version - COMPARED_VERSIONS)
    return [last for _, last in near.values_list("type").annotate(Max("version"))]


def drop_json(events: Iterable[Event]) -> None:
    """Remove the JSON of events that are drawn: a rendered response lives until a garbage collection."""
    for event in events:
        event.data = event.metadata = None
        if event._stored:
            event._stored = event._stored._replace(data=None, metadata=None)


def who(event: Event) -> str:
    """Return the user who caused an event, from its metadata; an empty string if it has none.

    Any client may state an `actor`. The `user` of a request's context is always there too.
    """
    named = next((text for key in ACTOR_KEYS if (text := text_of(event.metadata, key))), "")
    user = text_of(event.metadata, "user")
    return f"{named} (user {user})" if user and user != named else named


def ago(moment: datetime) -> str:
    """Return a rough description of how long ago a moment was, in English as the sentences around it."""
    now = timezone.now()
    with translation.override("en"):
        if moment > now:
            return f"in {timeuntil(moment, now, depth=1)}"
        return "just now" if (now - moment).total_seconds() < 60 else f"{timesince(moment, now, depth=1)} ago"


def _entry(event: Event, before: Event | None, cause: Event | None, site: str, max_values: int) -> Entry:
    correlation_id = text_of(event.metadata, "correlation_id")
    of_flow = flow_url(site, correlation_id) if correlation_id else ""
    cause_url = event_url(site, cause.position) if cause else ""
    is_compared = before is not None and before.readable_data is not None and event.readable_data is not None
    return Entry(
        event=event,
        url=event_url(site, event.position),
        who=who(event),
        data=json_tree.tree(event.readable_data, before.data if before and is_compared else None, max_values),
        metadata=json_tree.tree(
            event.metadata, max_values=max_values, urls={"correlation_id": of_flow, "causation_id": cause_url}
        ),
        compared_with=before.version if before and is_compared else None,
        cause=cause,
        cause_url=cause_url,
        flow_url=of_flow,
    )


def _causes(events: Iterable[Event], categories: Collection[str] | None) -> dict[str, Event]:
    """Return the causes of events by their ids in the metadata."""
    ids = {
        text: event_id
        for event in events
        if (text := text_of(event.metadata, "causation_id")) and (event_id := uuid_or_none(text))
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


def text_of(metadata: dict[str, Any] | None, key: str) -> str:
    """Return a text or integer of the metadata as text; an empty string for other values."""
    value = (metadata or {}).get(key, "")
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def uuid_or_none(text: str) -> UUID | None:
    """Return the UUID that `text` is; None if it is not a UUID."""
    try:
        return uuid_of(text)
    except InvalidEvent:
        return None
