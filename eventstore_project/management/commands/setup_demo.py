"""`manage.py setup_demo`: bring the demo's database up to date, with an admin user and something to look at."""

from typing import Any

from django.contrib.auth.models import User
from django.core.management import BaseCommand, call_command
from django.utils import timezone
from rest_framework.authtoken.models import Token

from events.models import Event
from events.store import EventStore
from eventstore_project import secrets
from eventstore_project.demo import shop_events

ADMIN = "admin"


class Command(BaseCommand):
    help = "Migrate, make the user 'admin', and store demo events if there are none. Safe to run again."

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", verbosity=0)
        make_admin()
        if not Event.objects.exists():
            count = len(EventStore().dispatch(*shop_events(timezone.now())))
            self.stdout.write(f"{count} demo events stored.")


def make_admin() -> User:
    """Return the user 'admin', made with a random password and an API token if there is none."""
    user = User.objects.filter(username=ADMIN).first()
    if user is None:
        user = User.objects.create_superuser(ADMIN, password=secrets.kept("admin_password"))
    Token.objects.get_or_create(user=user)
    return user
