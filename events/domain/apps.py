"""The Django app of the domain toolkit."""

from django.apps import AppConfig
from django.utils.module_loading import autodiscover_modules


class DomainConfig(AppConfig):
    name = "events.domain"
    label = "events_domain"
    verbose_name = "Domain"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from events.storage import fixtures

        from . import checks  # noqa: F401  # checks register themselves

        fixtures.guard(self)
        autodiscover_modules("domain")
