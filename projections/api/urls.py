"""The addresses of the read models; include them where you like."""

from django.urls import path

import events.api.urls  # noqa: F401  # has the converter

from . import views

app_name = "projections"

urlpatterns = [
    path("projections/aggregate-activity/", views.AggregateActivityList.as_view(), name="aggregate-activity-list"),
    path(
        "projections/aggregate-activity/<aggregate_id:aggregate_id>/",
        views.AggregateActivityDetail.as_view(),
        name="aggregate-activity-detail",
    ),
]
