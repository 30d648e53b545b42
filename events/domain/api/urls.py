"""The addresses that the domain toolkit adds to the HTTP interface."""

from events.api.introduction import describe_tags

from .views import commands, event_types

describe_tags({"event-types": "The types of events that have a class, and the JSON Schema of their data."})

ADDRESSES = (
    ("aggregates/<aggregate_id:aggregate_id>/commands/<str:command>/", commands.CommandView, "aggregate-command"),
    ("event-types/", event_types.EventTypeList, "event-type-list"),
    ("event-types/<aggregate_id:event_type>/", event_types.EventTypeDetail, "event-type-detail"),
)
