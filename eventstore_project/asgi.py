"""The demo project as an ASGI application."""

import os

from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.asgi import get_asgi_application

from . import postgres

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "eventstore_project.settings")
postgres.join_or_exit()
# The demo serves its static files itself; in production, a web server serves them.
application = ASGIStaticFilesHandler(get_asgi_application())
