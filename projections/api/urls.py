"""The addresses of projections and read models; include them where you like."""

from django.urls import path

import events.api.urls  # noqa: F401  # has the converter

from . import views

app_name = "projections"

urlpatterns = [
    path("health/", views.Health.as_view(), name="health"),
    path("projections/", views.ProjectionList.as_view(), name="projection-list"),
    path("projections/<str:name>/", views.ProjectionDetail.as_view(), name="projection-detail"),
    path("projections/<str:name>/parked/", views.ParkedEventList.as_view(), name="parked-event-list"),
    path("read-models/aggregate-activity/", views.AggregateActivityList.as_view(), name="aggregate-activity-list"),
    path(
        "read-models/aggregate-activity/<aggregate_id:aggregate_id>/",
        views.AggregateActivityDetail.as_view(),
        name="aggregate-activity-detail",
    ),
    path("read-models/event-type-activity/", views.EventTypeActivityList.as_view(), name="event-type-activity-list"),
    path("read-models/daily-activity/", views.DailyActivityList.as_view(), name="daily-activity-list"),
]
