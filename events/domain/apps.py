"""The Django app of the domain toolkit."""

from django.apps import AppConfig
from django.db.models.signals import post_migrate
from django.utils.module_loading import autodiscover_modules


class DomainConfig(AppConfig):
    name = "events.domain"
    label = "events_domain"
    verbose_name = "Domain"
    default_auto_field = "django.db.models.BigAutoField"
    event_store_addresses = "events.domain.api.urls.ADDRESSES"  # the HTTP interface includes them

    def ready(self) -> None:
        from events.storage import fixtures

        from . import checks, commands  # noqa: F401  # checks register themselves

        fixtures.guard(self)
        post_migrate.connect(commands.create_permissions, sender=self)
        autodiscover_modules("domain")
