"""The URLs of the demo project."""

from django.contrib import admin
from django.templatetags.static import static
from django.urls import include, path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularRedocView, SpectacularSwaggerView

from . import shop, views

admin.site.site_title = admin.site.site_header = "Event store"
admin.site.index_title = "Browse"

handler400 = "events.api.problems.bad_request"
handler404 = "events.api.problems.not_found"
handler500 = "events.api.problems.server_error"

urlpatterns = [
    path("", shop.page, name="shop"),
    path("shop/orders/", shop.place, name="shop-place"),
    path("shop/orders/<str:aggregate_id>/pay/", shop.pay, name="shop-pay"),
    path("shop/orders/<str:aggregate_id>/withdraw/", shop.withdraw, name="shop-withdraw"),
    path("shop/stream/", shop.ShopStream.as_view(), name="shop-stream"),
    path("favicon.ico", RedirectView.as_view(url=static("eventstore_project/favicon.svg"))),
    path("admin/", admin.site.urls),
    path("live/", admin.site.admin_view(views.live), name="live"),
    path("api/", include("events.api.urls")),
    path("api/", include("projections.api.urls")),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerView.as_view(url_name="schema"), name="swagger"),
    path("api/redoc/", SpectacularRedocView.as_view(url_name="schema"), name="redoc"),
    path("api-auth/", include("rest_framework.urls")),
]
