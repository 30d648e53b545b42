"""The URLs of the event types; include them in your URLconf, with or without those of events."""

from events.api.addresses import addresses
from events.api.views.problem_types import PROBLEM_TYPES

from . import views

app_name = "events_domain"

urlpatterns = addresses(
    ("event-types/", views.EventTypeList, "event-type-list"),
    ("event-types/<aggregate_id:event_type>/", views.EventTypeDetail, "event-type-detail"),
    PROBLEM_TYPES,
)
