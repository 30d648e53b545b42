"""The URLs of the projections and of the read models; include them in your URLconf."""

from django.urls import path

import events.api.urls  # noqa: F401  # registers the converter

from .views import health, projections, read_models

app_name = "projections"

urlpatterns = [
    path("health/", health.HealthView.as_view(), name="health"),
    path("projections/", projections.ProjectionList.as_view(), name="projection-list"),
    path("projections/<str:name>/", projections.ProjectionDetail.as_view(), name="projection-detail"),
    path("projections/<str:name>/parked/", projections.ParkedEventList.as_view(), name="parked-event-list"),
    path(
        "read-models/aggregate-activity/", read_models.AggregateActivityList.as_view(), name="aggregate-activity-list"
    ),
    path(
        "read-models/aggregate-activity/<aggregate_id:aggregate_id>/",
        read_models.AggregateActivityDetail.as_view(),
        name="aggregate-activity-detail",
    ),
    path(
        "read-models/event-type-activity/", read_models.EventTypeActivityList.as_view(), name="event-type-activity-list"
    ),
    path("read-models/daily-activity/", read_models.DailyActivityList.as_view(), name="daily-activity-list"),
]
