"""Flows: what has come of an event, as a picture and as a list of all events with the same correlation id."""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from django.contrib.admin import ModelAdmin
from django.core.exceptions import PermissionDenied
from django.db.models.fields.json import KeyTextTransform
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.safestring import SafeString

from events import authorization
from events.models import Event
from events.routing import database
from events.visible import visible

from . import lanes
from .browsing import without_nul
from .durations import format_duration
from .links import event_list_url, event_url, flow_url, history_url
from .timeline import text_of, uuid_or_none

PAGE_EVENTS: Final = 100
DIRECT_EFFECTS: Final = 20
MAX_DEPTH: Final = 6
TYPE_CHARACTERS: Final = 20
MARKS: Final = {"reaction": "stored by a reaction", "timer": "stored by a timer"}


@dataclass(frozen=True, kw_only=True)
class Note:
    """What another app knows about an event.

    Attributes:
        text: such as that a reaction has handled the event.
        mark: how the picture marks the event, a key of MARKS; empty for not at all.
    """

    text: SafeString | str
    mark: str = ""


# Returns the notes of an app for the user of a request, by the positions of their events.
Notes = Callable[[HttpRequest, Sequence[Event]], Mapping[int, Sequence[Note]]]


@dataclass(frozen=True, kw_only=True)
class Step:
    """An event of a flow.

    Attributes:
        url: the URL of its page.
        depth: the number of causes before it, at most MAX_DEPTH.
        cause: the step that caused it, if it is on the same page.
        elapsed: the time since the first event of the page, with its sign; empty for that one.
        notes: of other apps.
        box: its place in the picture.
    """

    event: Event
    url: str
    depth: int
    cause: Event | None
    elapsed: str
    box: lanes.Box
    notes: Sequence[Note] = field(default_factory=list)

    @property
    def mark(self) -> str:
        return next((note.mark for note in self.notes if note.mark), "")

    @property
    def short_type(self) -> str:
        shown = visible(self.event.type)
        return shown if len(shown) <= TYPE_CHARACTERS else f"{shown[: TYPE_CHARACTERS - 1]}…"

    @property
    def spoken(self) -> str:
        """What a screen reader says about the event in the picture."""
        parts = [f"{self.event.type} of {self.event.aggregate_id}, version {self.event.version}"]
        parts += [self.elapsed] if self.elapsed else []
        parts += [f"caused by {self.cause.type} of {self.cause.aggregate_id}"] if self.cause else []
        parts += [MARKS[self.mark]] if self.mark else []
        return visible(", ".join(parts))


def correlation_of(event: Event) -> str:
    """Return the correlation id of the flow that an event belongs to, or that it begins: then it is its own id."""
    return text_of(event.metadata, "correlation_id") or str(event.event_id)


def effects(event: Event, categories: Collection[str] | None) -> list[Event]:
    """Return the first events that an event has caused, without their JSON.

    They are looked for in its flow, because an index leads there.
    """
    events: Any = Event.objects.using(event._state.db).within(categories).correlated_by(correlation_of(event))
    events = events.annotate(cause=KeyTextTransform("causation_id", "metadata")).filter(cause=str(event.event_id))
    return list(events.headings().order_by("position")[: DIRECT_EFFECTS + 1])


def events_of(correlation_id: str, categories: Collection[str] | None, *, after: int = 0) -> list[Event]:
    """Return the events of a flow without their JSON, one more than a page has; first the one that begins the flow."""
    all_events: Any = Event.objects.using(database()).within(categories).headings()
    all_events = all_events.annotate(cause=KeyTextTransform("causation_id", "metadata")).order_by("position")
    found = list(all_events.correlated_by(correlation_id).filter(position__gt=after)[: PAGE_EVENTS + 1])
    root = uuid_or_none(correlation_id)
    if root and not after and all(each.event_id != root for each in found):
        found = [*all_events.filter(event_id=root), *found]
    return found


def steps(events: Sequence[Event], site: str, notes: Mapping[int, Sequence[Note]]) -> tuple[list[Step], lanes.Lanes]:
    """Return the steps of a page of a flow, and their picture."""
    numbers = {str(each.event_id): number for number, each in enumerate(events)}
    causes = [numbers.get(each.cause or "") for each in events]  # type: ignore[attr-defined]  # annotated above
    causes = [cause if cause is not None and cause < number else None for number, cause in enumerate(causes)]
    drawing = lanes.draw([each.aggregate_id for each in events], causes)
    found: list[Step] = []
    for event, cause, box in zip(events, causes, drawing.boxes, strict=True):
        found.append(
            Step(
                event=event,
                url=event_url(site, event.position),
                depth=min(found[cause].depth + 1, MAX_DEPTH) if cause is not None else 0,
                cause=events[cause] if cause is not None else None,
                elapsed=_elapsed(events[0], event) if found else "",
                box=box,
                notes=notes.get(event.position, ()),
            )
        )
    return found, drawing


def below_causes(found: Sequence[Step]) -> list[Step]:
    """Return steps in the order of a tree: each below its cause, and the effects of one cause by position."""
    effects_of: dict[int | None, list[Step]] = {}
    for step in found:
        effects_of.setdefault(step.cause.position if step.cause else None, []).append(step)
    ordered: list[Step] = []
    waiting = effects_of[None][::-1] if found else []
    while waiting:
        ordered.append(step := waiting.pop())
        waiting += effects_of.get(step.event.position, [])[::-1]
    return ordered


def notes_on(sources: Sequence[Notes], request: HttpRequest, events: Sequence[Event]) -> dict[int, list[Note]]:
    """Return the notes of all apps by the positions of their events."""
    found: dict[int, list[Note]] = {each.position: [] for each in events}
    for source in sources:
        for position, notes in source(request, events).items():
            found[position].extend(notes)
    return found


def page(admin: ModelAdmin, request: HttpRequest, sources: Sequence[Notes]) -> HttpResponse:
    """Return the page of the flow whose correlation id is in the address.

    Raises:
        PermissionDenied: the user may not read any events.
        Http404: there are no such events that the user may read.
    """
    if not admin.has_view_permission(request):
        raise PermissionDenied
    correlation_id = without_nul(request.GET.get("correlation_id", ""))
    after = _number(request.GET.get("after", ""))
    events = events_of(correlation_id, authorization.readable(request.user).names, after=after)
    if not events:
        raise Http404("There are no events of this flow that you may read")
    shown = events[:PAGE_EVENTS]
    site = admin.admin_site.name
    found, drawing = steps(shown, site, notes_on(sources, request, shown))
    context = {
        **admin.admin_site.each_context(request),
        "title": "Flow",
        "subtitle": f"correlation id {visible(correlation_id)}",
        "opts": admin.opts,
        "media": admin.media,
        "steps": found,
        "tree": below_causes(found),
        "drawing": drawing,
        "aggregates": [
            (name, history_url(request, name)) for name in dict.fromkeys(each.aggregate_id for each in shown)
        ],
        "marks": [
            (mark, text.capitalize()) for mark, text in MARKS.items() if any(each.mark == mark for each in found)
        ],
        "first_url": flow_url(site, correlation_id) if after else "",
        "next_url": flow_url(site, correlation_id, after=str(shown[-1].position)) if len(events) > PAGE_EVENTS else "",
        "list_url": event_list_url(site, correlation_id=correlation_id),
    }
    request.current_app = site  # as in Django's own views
    return TemplateResponse(request, "admin/events/event/flow.html", context)


def _elapsed(first: Event, event: Event) -> str:
    begun, happened = first.happened, event.happened  # type: ignore[attr-defined]  # annotated above
    if not begun or not happened:
        return ""
    text = format_duration((happened - begun).total_seconds())
    return text if happened < begun else f"+{text}"


def _number(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 19 else 0
