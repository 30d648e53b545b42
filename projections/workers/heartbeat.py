"""A worker's heartbeat: the row that says which process it is, what it does, and when it was last seen."""

import os
import socket
import time
from collections.abc import Sequence
from datetime import timedelta

from django.utils import timezone
from uuid_utils.compat import uuid7

from events.routing import database
from projections.base import Projection
from projections.models import Heartbeat

HEARTBEAT_SECONDS = 5.0
FORGET_WORKER_AFTER = timedelta(hours=1)


class WorkerHeartbeat:
    """The heartbeat of this process."""

    def __init__(self, projections: Sequence[Projection]) -> None:
        self._host, self._pid = socket.gethostname(), os.getpid()
        self._row = Heartbeat(
            id=uuid7(),
            host=self._host,
            pid=self._pid,
            started_at=timezone.now(),
            projections=", ".join(each.name for each in projections),
        )
        self._at = float("-inf")

    def __str__(self) -> str:
        return f"{self._host}:{self._pid}"

    def beat(self, doing: str, events: int) -> None:
        """Save what this worker does, at most every `HEARTBEAT_SECONDS`, and delete the rows of old workers."""
        now = time.monotonic()
        if now - self._at < HEARTBEAT_SECONDS:
            return
        self._at = now
        self._row.doing, self._row.events, self._row.seen_at = doing, events, timezone.now()
        self._row.save(using=database())
        Heartbeat.objects.using(database()).filter(seen_at__lt=timezone.now() - FORGET_WORKER_AFTER).delete()

    def end(self) -> None:
        """Delete the row of this worker, which has ended without an error."""
        Heartbeat.objects.using(database()).filter(pk=self._row.pk).delete()
