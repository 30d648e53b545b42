"""The addresses of the demo project."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/", admin.site.urls),
    path("api/", include("events.api.urls")),
    path("api/", include("projections.api.urls")),
    path("api-auth/", include("rest_framework.urls")),
]
