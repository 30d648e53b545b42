"""When a worker fires the timers of its reactions: it knows the next due time, and looks for a new one at intervals."""

import time
from collections.abc import Iterable
from datetime import datetime
from typing import Final

from django.utils import timezone

from events.routing import database
from projections.base import Kind, Projection
from projections.models import Build, Timer

from .scheduler import Task

# A timer that another worker has scheduled fires at most this late.
LOOK_SECONDS: Final = 0.5
# A timer that is due waits while its reaction has earlier events to handle, or while another worker fires.
HELD_SECONDS: Final = 0.05


class DueTimers:
    """The due times of the reactions that a worker runs. Without reactions, it sends no query."""

    def __init__(self) -> None:
        self._reactions: dict[str, Projection] = {}
        self._next: dict[str, datetime] = {}
        self._looked_at = float("-inf")  # on the monotonic clock
        self._held_until = float("-inf")

    def plan(self, tasks: Iterable[Task]) -> None:
        """Take the reactions of a new plan; those that are paused or stopped have no tasks."""
        live = [task.projection for task in tasks if task.build == Build.LIVE]
        self._reactions = {each.name: each for each in live if each.kind is Kind.REACTION}

    def fire(self, *, look: bool) -> bool:
        """Fire timers that are due, a batch of each reaction; return whether any was.

        Args:
            look: whether the worker has handled events, which may have scheduled timers.
        """
        now = time.monotonic()
        if not self._reactions or now < self._held_until:
            return False
        if look or now - self._looked_at >= LOOK_SECONDS:
            self._look()
        moment = timezone.now()
        due = sorted((at, name) for name, at in self._next.items() if at <= moment and name in self._reactions)
        if not due:
            return False
        fired = sum([self._reactions[name].fire_due_timers() for _, name in due])
        self._look()
        if not fired:
            self._held_until = time.monotonic() + HELD_SECONDS
        return fired > 0

    def _look(self) -> None:
        self._looked_at = time.monotonic()
        self._next = Timer.objects.using(database()).next_due(self._reactions)
