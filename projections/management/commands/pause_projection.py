"""`manage.py pause_projection`: pause a projection."""

from typing import Any

from projections.management.base import OperationCommand
from projections.operations import actions


class Command(OperationCommand):
    help = "Pause an ASYNC projection until it is resumed. It then handles the events stored in between."

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        actions.pause(name, by=by, reason=reason)
        return f"{name} is paused."
