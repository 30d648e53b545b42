"""Notes on the events of a flow: what reactions and timers have to do with them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from django.db.models.fields.json import KeyTextTransform
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString

from events.admin.browsing import to_the_second
from events.admin.flow import Note
from events.admin.links import link, page_url, site_of
from events.models import Aggregate, Event
from events.routing import database
from events.visible import visible
from projections.base import Kind
from projections.engine import checkpoints
from projections.models import Build, ParkedEvent, ProjectionState, Timer
from projections.reactions.actions import REACTION
from projections.reactions.scheduling import TIMER

from .parked_aggregates import live, state_of

MAX_TIMERS: Final = 100


def notes(request: HttpRequest, events: Sequence[Event]) -> Mapping[int, Sequence[Note]]:
    """Return what stored each event, what its reactions have done, and the timers that were scheduled because of it."""
    found: dict[int, list[Note]] = {each.position: [] for each in events}
    for position, note in _origins(events):
        found[position].append(note)
    if request.user.has_perm("projections.view_projectionstate"):
        for position, note in _reactions(request, events):
            found[position].append(note)
    if request.user.has_perm("projections.view_timer"):
        for position, note in _timers(request, events):
            found[position].append(note)
    return found


def _origins(events: Sequence[Event]) -> Iterator[tuple[int, Note]]:
    rows = Event.objects.using(database()).filter(position__in=[each.position for each in events])
    named = rows.annotate(reaction=KeyTextTransform(REACTION, "metadata"), timer=KeyTextTransform(TIMER, "metadata"))
    for position, reaction, timer in named.filter(reaction__isnull=False).values_list("position", "reaction", "timer"):
        if timer is None:
            yield position, Note(text=visible(f"stored by the reaction {reaction}"), mark="reaction")
        else:
            yield position, Note(text=visible(f"stored by the timer {timer} of {reaction}"), mark="timer")


def _reactions(request: HttpRequest, events: Sequence[Event]) -> Iterator[tuple[int, Note]]:
    """Yield what each reaction has done with each event of its types."""
    stepped_aside = _stepped_aside(events)
    reactions = ProjectionState.objects.using(database()).filter(kind=Kind.REACTION)
    for state in reactions.order_by("name").prefetch_related("checkpoints"):
        of_rows = [each for each in state.checkpoints.all() if each.build == Build.LIVE]
        wanted = [each for each in events if state.types is None or each.type in state.types]
        shards = _shards(wanted, len(of_rows))
        reached = {each.shard: each.position for each in of_rows}
        for event in wanted:
            if event.position <= state.start_position:
                continue
            if parked := stepped_aside.get((state.name, event.position)):
                what: SafeString | str = _of_parked(request, parked)
            else:
                what = "handled" if event.position <= reached.get(shards[event.aggregate_id], 0) else "not handled yet"
            yield event.position, Note(text=format_html("{}: {}", state.name, what))


def _stepped_aside(events: Sequence[Event]) -> dict[tuple[str, int], ParkedEvent]:
    parked = live().filter(projection__kind=Kind.REACTION, position__in=[each.position for each in events])
    return {(each.projection_id, each.position): each for each in parked.defer("traceback")}


def _of_parked(request: HttpRequest, parked: ParkedEvent) -> SafeString | str:
    may_see = request.user.has_perm("projections.view_parkedevent")
    return link(
        page_url(site_of(request), "projections_parkedevent_change", parked.pk) if may_see else "", state_of(parked)
    )


def _shards(events: Sequence[Event], shards: int) -> dict[str, int]:
    """Return the shard of each aggregate."""
    ids = {each.aggregate_id for each in events}
    if shards <= 1 or not ids:
        return dict.fromkeys(ids, 0)
    aggregates = Aggregate.objects.using(database()).filter(aggregate_id__in=ids)
    return dict(aggregates.annotate(shard=checkpoints.shard_of(shards)).values_list("aggregate_id", "shard"))


def _timers(request: HttpRequest, events: Sequence[Event]) -> Iterator[tuple[int, Note]]:
    """Yield the timers that were scheduled because of the events, and have not fired."""
    timers = Timer.objects.using(database()).filter(source_position__in=[each.position for each in events])
    for timer in timers.defer("data", "metadata")[:MAX_TIMERS]:
        url = page_url(site_of(request), "projections_timer_change", timer.pk)
        text = format_html("{}: timer {}, due {}", timer.reaction, link(url, timer.key), to_the_second(timer.due_at))
        yield timer.source_position, Note(text=text)
