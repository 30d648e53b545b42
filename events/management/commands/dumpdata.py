"""`manage.py dumpdata`, which leaves out the store and the projections, because `loaddata` cannot write them."""

from typing import Any

from django.apps import apps
from django.core.management.commands.dumpdata import Command as DumpdataCommand

from events.management.base import ReportingCommand
from events.management.endings import wrong_arguments
from events.storage.fixtures import INSTEAD


class Command(ReportingCommand, DumpdataCommand):
    def so_far(self) -> str:
        return "The output is not complete. Run the command again."

    def handle(self, *labels: str, **options: Any) -> None:
        left_out = [each.label for each in apps.get_app_configs() if hasattr(each, "is_left_out_of_dumps")]
        for label in labels:
            if label.partition(".")[0] in left_out:
                raise wrong_arguments(
                    f"Rejected: dumpdata does not dump {label}, because loaddata rejects it. {INSTEAD}."
                )
        if not labels:
            self.stderr.write(f"Left out: {', '.join(left_out)}. {INSTEAD}.")
        # Without `traceback`, Django hides the error that the base class explains.
        super().handle(*labels, **options | {"exclude": [*options["exclude"], *left_out], "traceback": True})
