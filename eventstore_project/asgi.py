"""The demo project as a ASGI application."""

import os

from django.core.asgi import get_asgi_application

from . import postgres

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "eventstore_project.settings")
postgres.join_or_exit()
application = get_asgi_application()
