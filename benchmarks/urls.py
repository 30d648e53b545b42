"""The URLs of the HTTP interface and of the views that it is measured against."""

from django.urls import include, path

from benchmarks.plainviews import PlainAppend, PlainHistory

urlpatterns = [
    path("api/", include("events.api.urls")),
    path("plain/<str:aggregate_id>/append/", PlainAppend.as_view()),
    path("plain/<str:aggregate_id>/events/", PlainHistory.as_view()),
]
