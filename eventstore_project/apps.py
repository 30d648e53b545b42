"""The demo project as a Django app: a shop with two read models."""

from django.apps import AppConfig


class ShopConfig(AppConfig):
    name = "eventstore_project"
    verbose_name = "Shop"
    default_auto_field = "django.db.models.BigAutoField"
