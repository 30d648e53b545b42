"""The URLs of the HTTP interface; projects may include them under any prefix, in any namespace.

Aggregate ids may contain any character, percent-encoded. There is one limit: servers pass the path decoded. So the
history of an aggregate whose id ends in `/events` or `/stream` has a URL, but the aggregate itself does not; find it in
the list with `starts_with`.
"""

from .addresses import addresses, addresses_of_other_apps
from .introduction import describe_tags
from .views import aggregates, events, import_export, streams
from .views.everywhere import EVERYWHERE

app_name = "events"

describe_tags(
    {
        "events": "The events of the whole store: append to several aggregates, read, follow, import, export.",
        "aggregates": "One aggregate: append to it, read its history, follow it, run its commands.",
    }
)

urlpatterns = addresses(
    *addresses_of_other_apps(),  # first, because an aggregate id may contain slashes
    ("aggregates/", aggregates.AggregateList, "aggregate-list"),
    ("aggregates/<aggregate_id:aggregate_id>/events/", aggregates.AggregateEvents, "aggregate-events"),
    ("aggregates/<aggregate_id:aggregate_id>/stream/", streams.AggregateStream, "aggregate-stream"),
    ("aggregates/<aggregate_id:aggregate_id>/", aggregates.AggregateDetail, "aggregate-detail"),
    ("events/", events.EventList, "event-list"),
    ("events/export/", import_export.EventExport, "event-export"),
    ("events/import/", import_export.EventImport, "event-import"),
    ("events/stream/", streams.EventStream, "event-stream"),
    ("events/<event_id:event_id>/", events.EventDetail, "event-detail"),
    *EVERYWHERE,
)
