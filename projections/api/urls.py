"""The URLs of the projections and of the read models; include them in your URLconf, with or without those of events.

They have the problem types too, so that errors have an address that explains them wherever the URLs are included.
"""

from events.api.addresses import addresses
from events.api.views.problem_types import PROBLEM_TYPES

from .views import health, projections, read_models, timers

app_name = "projections"

urlpatterns = addresses(
    ("health/", health.HealthView, "health"),
    ("projections/", projections.ProjectionList, "projection-list"),
    ("projections/<str:name>/", projections.ProjectionDetail, "projection-detail"),
    ("projections/<str:name>/parked/", projections.ParkedEventList, "parked-event-list"),
    ("timers/", timers.TimerList, "timer-list"),
    ("timers/<int:timer_id>/", timers.TimerDetail, "timer-detail"),
    ("timers/<int:timer_id>/fire/", timers.TimerFiring, "timer-firing"),
    ("read-models/aggregate-activity/", read_models.AggregateActivityList, "aggregate-activity-list"),
    (
        "read-models/aggregate-activity/<aggregate_id:aggregate_id>/",
        read_models.AggregateActivityDetail,
        "aggregate-activity-detail",
    ),
    ("read-models/event-type-activity/", read_models.EventTypeActivityList, "event-type-activity-list"),
    ("read-models/daily-activity/", read_models.DailyActivityList, "daily-activity-list"),
    PROBLEM_TYPES,
)
