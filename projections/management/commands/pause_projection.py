"""`manage.py pause_projection`: let workers leave a projection alone."""

from typing import Any

from projections.management.base import OperationCommand
from projections.operations import actions


class Command(OperationCommand):
    help = "Let workers leave an ASYNC projection alone until it is resumed. Nothing is lost meanwhile."

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        actions.pause(name, by=by, reason=reason)
        return f"{name} is paused."
