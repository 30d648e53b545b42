"""`manage.py keep_rows`: start a projection whose tables held rows when it was registered, and keep the rows."""

from typing import Any

from projections.management.base import OperationCommand
from projections.operations import actions


class Command(OperationCommand):
    help = "Keep the rows that a projection's tables held when it was registered, and start it with the next event."

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        actions.keep_rows(name, by=by, reason=reason)
        return f"{name} keeps its rows and has started."
