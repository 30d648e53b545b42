"""`manage.py resume_projection`: resume a projection that is paused or stopped."""

from typing import Any

from projections.management.base import OperationCommand
from projections.operations import actions


class Command(OperationCommand):
    help = "Resume a projection that is paused or has stopped at an event, and its rebuild if that has stopped."

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        actions.resume(name, by=by, reason=reason)
        return f"{name} runs again."
