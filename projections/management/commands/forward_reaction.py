"""`manage.py forward_reaction`: let a reaction leave out the events that are stored now."""

from typing import Any

from projections.management.base import OperationCommand
from projections.reactions import moving


class Command(OperationCommand):
    help = (
        "Let a reaction leave out all events that are stored now, for example after an import. Pause it before the"
        " import, and resume it afterwards."
    )

    def operate(self, name: str, by: str, reason: str, options: dict[str, Any]) -> str:
        before, now = moving.forward(name, by=by, reason=reason)
        return f"{name} was at position {before}, and leaves out its events up to position {now}."
