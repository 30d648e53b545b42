"""The live page of the demo: the event stream in the browser."""

from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.auth.decorators import permission_required
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import reverse

from events import authorization
from events.admin.browsing import without_nul
from events.admin.suggestions import distinct_values
from events.models import Aggregate, Event
from events.store import EventStore

EVENTS_AT_FIRST = 20


@permission_required(authorization.READ, raise_exception=True)
def live(request: HttpRequest) -> HttpResponse:
    """Show events as they are stored. The page reads the public stream, as any other client does."""
    chosen = {name: without_nul(request.GET.get(name, "")) for name in ("type", "category", "aggregate_id")}
    store = EventStore()
    after = _beginning(store, **chosen)
    query = {name: value for name, value in chosen.items() if value} | {"after": after}
    context = {
        **admin.site.each_context(request),
        "title": "Live events",
        "chosen": chosen,
        "is_filtered": any(chosen.values()),
        "after": after,
        "stream": f"{reverse('events:event-stream')}?{urlencode(query)}",
        "aggregates": reverse("admin:events_aggregate_changelist"),
        "may_see_aggregates": request.user.has_perm("events.view_aggregate"),
        "types": distinct_values(Event, "type", store.using),
        "categories": distinct_values(Aggregate, "category", store.using),
    }
    return TemplateResponse(request, "eventstore_project/live.html", context)


def _beginning(store: EventStore, type: str, category: str, aggregate_id: str) -> int:  # noqa: A002
    """Return the position to stream from, so that the page begins with the newest stored events."""
    settled = store.settled_position()
    events = Event.objects.using(store.using).up_to(settled).order_by("-position")
    if type:
        events = events.of_types(type)
    if category:
        events = events.in_category(category)
    if aggregate_id:
        events = events.of_aggregate(aggregate_id)
    newest = list(events.values_list("position", flat=True)[:EVENTS_AT_FIRST])
    return newest[-1] - 1 if newest else settled
