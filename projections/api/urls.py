"""The URLs of the projections and of the read models; include them in your URLconf, with or without those of events.

They have the root, the probes, the metrics and the problem types too, wherever the URLs are included.
"""

from events.api.addresses import addresses
from events.api.introduction import describe_tags
from events.api.views.everywhere import EVERYWHERE

from .views import health, projections, read_models, timers

app_name = "projections"

describe_tags(
    {
        "read-models": "What the projections that come with the store have counted.",
        "projections": "The status of the projections and reactions, and the events that they have set aside.",
        "timers": "The timers of reactions: list them, cancel one, fire one now.",
    }
)

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
    *EVERYWHERE,
)
