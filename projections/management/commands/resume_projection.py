"""`manage.py resume_projection`: let workers go on with a projection that was paused, or has stopped."""

from typing import Any

from projections.management.base import OperationCommand
from projections.operations import actions


class Command(OperationCommand):
    help = "Let workers go on with a projection that was paused, or has stopped at an event, or with its rebuild."

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        actions.resume(name, by=by, reason=reason)
        return f"{name} runs again."
