"""The addresses of the HTTP interface; include them where you like.

Aggregate ids may hold any character, percent-encoded. One limit comes with that: servers hand the path over decoded, so
an aggregate whose id ends in `/events` has a history here, but its own address is that of another one's history; find
it in the list, with `starts_with`.
"""

from django.urls import path, register_converter
from django.urls.converters import StringConverter

from . import views


class AggregateIdConverter(StringConverter):
    """Any text at all: what is wrong with it, the view can say better than a 404."""

    regex = r"(?s:.+)"


register_converter(AggregateIdConverter, "aggregate_id")

app_name = "events"

urlpatterns = [
    path("aggregates/", views.AggregateList.as_view(), name="aggregate-list"),
    path("aggregates/<aggregate_id:aggregate_id>/events/", views.AggregateEvents.as_view(), name="aggregate-events"),
    path("aggregates/<aggregate_id:aggregate_id>/", views.AggregateDetail.as_view(), name="aggregate-detail"),
    path("events/", views.EventList.as_view(), name="event-list"),
    path("events/<uuid:event_id>/", views.EventDetail.as_view(), name="event-detail"),
]
