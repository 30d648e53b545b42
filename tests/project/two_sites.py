"""The addresses of a project with another admin site beside the default one."""

from django.contrib import admin
from django.urls import path

from eventstore_project.urls import urlpatterns as urls_of_the_demo

other = admin.AdminSite(name="other")
other.index_template = "admin/events/index.html"
for model, model_admin in admin.site._registry.items():
    other.register(model, type(model_admin))

urlpatterns = [path("other/", other.urls), *urls_of_the_demo]
