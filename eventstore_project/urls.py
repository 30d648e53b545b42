"""The addresses of the demo project."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView

admin.site.site_title = admin.site.site_header = "Event store"
admin.site.index_title = "Browse"

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("favicon.ico", RedirectView.as_view(url=static("eventstore_project/favicon.svg"))),
    path("admin/", admin.site.urls),
    path("api/", include("events.api.urls")),
    path("api/", include("projections.api.urls")),
    path("api-auth/", include("rest_framework.urls")),
]
