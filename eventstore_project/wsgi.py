"""The demo project as a WSGI application."""

import os

from django.core.wsgi import get_wsgi_application

from . import postgres

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "eventstore_project.settings")
postgres.join_or_exit()
application = get_wsgi_application()
