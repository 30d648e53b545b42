"""The URLs of the HTTP interface; projects may include them under any prefix.

Aggregate ids may contain any character, percent-encoded. There is one limit: servers pass the path decoded. So the
history of an aggregate whose id ends in `/events` or `/stream` has a URL, but the aggregate itself does not; find it in
the list with `starts_with`.
"""

from django.urls import path, re_path, register_converter
from django.urls.converters import StringConverter

from .slashes import add_slash
from .views import aggregates, events, import_export, streams
from .views.problem_types import ProblemTypeDetail


class AggregateIdConverter(StringConverter):
    """Any text, because the view can explain an error better than a 404."""

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
