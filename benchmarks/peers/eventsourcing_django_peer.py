"""The peer `eventsourcing-django`: the library `eventsourcing` on Django's ORM; see benchmarks/peers.

It runs in its own environment, without this project.
"""

import os
from urllib.parse import unquote, urlsplit

import django
from django.conf import settings
from django.core.management import call_command
from django.db import connections
from eventsourcing.persistence import ApplicationRecorder
from eventsourcing.utils import Environment
from eventsourcing_peer import Works, serve


def set_up() -> None:
    url = urlsplit(os.environ["PEER_URL"])
    database = {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": url.path.lstrip("/"),
        "HOST": unquote(url.hostname or ""),
        "PORT": url.port or "",
        "USER": url.username or "",
        "PASSWORD": url.password or "",
    }
    settings.configure(DATABASES={"default": database}, INSTALLED_APPS=["eventsourcing_django"], USE_TZ=True)
    django.setup()
    call_command("migrate", verbosity=0)


def django_recorder() -> ApplicationRecorder:
    from eventsourcing_django.factory import Factory

    return Factory(Environment("benchmark")).application_recorder()


if __name__ == "__main__":
    set_up()
    serve("eventsourcing-django", Works(django_recorder, connections.close_all))
