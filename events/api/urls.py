"""The addresses of the HTTP interface; include them where you like.

Aggregate ids may hold any character, percent-encoded. One limit comes with that: servers hand the path over decoded, so
an aggregate whose id ends in `/events` or `/stream` has a history here, but its own address is that of another one's;
find it in the list, with `starts_with`.
"""

from django.urls import path, re_path, register_converter
from django.urls.converters import StringConverter

from .slashes import add_slash
from .views import aggregates, events, import_export, streams
from .views.problem_types import ProblemTypeDetail


class AggregateIdConverter(StringConverter):
    """Any text at all: what is wrong with it, the view can say better than a 404."""

    regex = r"(?s:.+)"


register_converter(AggregateIdConverter, "aggregate_id")

app_name = "events"

urlpatterns = [
    path("aggregates/", aggregates.AggregateList.as_view(), name="aggregate-list"),
    path(
        "aggregates/<aggregate_id:aggregate_id>/events/", aggregates.AggregateEvents.as_view(), name="aggregate-events"
    ),
    path("aggregates/<aggregate_id:aggregate_id>/stream/", streams.AggregateStream.as_view(), name="aggregate-stream"),
    path("aggregates/<aggregate_id:aggregate_id>/", aggregates.AggregateDetail.as_view(), name="aggregate-detail"),
    path("events/", events.EventList.as_view(), name="event-list"),
    path("events/export/", import_export.EventExport.as_view(), name="event-export"),
    path("events/import/", import_export.EventImport.as_view(), name="event-import"),
    path("events/stream/", streams.EventStream.as_view(), name="event-stream"),
    path("events/<uuid:event_id>/", events.EventDetail.as_view(), name="event-detail"),
    path("problems/<slug:slug>/", ProblemTypeDetail.as_view(), name="problem-type"),
    re_path(r"^(?:aggregates|events)(?:/(?s:.+))?(?<!/)\Z", add_slash),
]
