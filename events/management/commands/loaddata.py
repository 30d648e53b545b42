"""`manage.py loaddata`, which rejects rows of the store outside tests, in one line; see `events.storage.fixtures`."""

from django.core.management.commands.loaddata import Command as LoaddataCommand

from events.management.base import ReportingCommand


class Command(ReportingCommand, LoaddataCommand):
    def so_far(self) -> str:
        return "Nothing was loaded. Run the command again."
