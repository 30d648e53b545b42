"""A worker's heartbeat: the row that says which process it is, what it does, and when it was last seen."""

import os
import socket
import time
from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.utils import timezone
from uuid_utils.compat import uuid7

from events.routing import database
from projections.base import Projection
from projections.models import Heartbeat

HEARTBEAT_SECONDS = 5.0
SILENT_AFTER = timedelta(seconds=3 * HEARTBEAT_SECONDS)
FORGET_WORKER_AFTER = timedelta(hours=1)


# The workers of this process that run.
_running_here: set[UUID] = set()


class WorkerHeartbeat:
    """The heartbeat of this process."""

    def __init__(self, projections: Sequence[Projection], *, rebuilds_only: bool = False) -> None:
        names = [each.name for each in projections]
        process = {"host": socket.gethostname(), "pid": os.getpid(), "started_at": timezone.now()}
        self._row = Heartbeat(id=uuid7(), projections=names, rebuilds_only=rebuilds_only, **process)
        _running_here.add(self._row.id)
        self._at = float("-inf")
        self.has_missed_worker = False
        """Whether a worker has lately ended without deleting its row: it was killed, or hangs."""

    @property
    def id(self) -> UUID:
        return self._row.id

    def __str__(self) -> str:
        return str(self._row)

    def beat(self, doing: str, events: int) -> None:
        """Save what this worker does, at most every `HEARTBEAT_SECONDS`, and delete the rows of old workers."""
        now = time.monotonic()
        if now - self._at < HEARTBEAT_SECONDS:
            return
        self._at = now
        self._row.doing, self._row.events, self._row.seen_at = doing, events, timezone.now()
        self._row.save(using=database())
        rows = Heartbeat.objects.using(database())
        rows.filter(seen_at__lt=timezone.now() - FORGET_WORKER_AFTER).delete()
        self.has_missed_worker = any(self._is_missed(row) for row in rows.exclude(pk=self.id))

    def is_alive(self, worker: UUID) -> bool:
        """Return whether another worker is alive, as far as its row says."""
        row = Heartbeat.objects.using(database()).filter(pk=worker).first()
        return row is not None and not self._is_missed(row)

    def _is_missed(self, row: Heartbeat) -> bool:
        if row.host == self._row.host:
            # An earlier process may have had the number of this one, as in a container that starts again.
            return row.id not in _running_here if row.pid == self._row.pid else not _is_running(row.pid)
        return row.seen_at < timezone.now() - SILENT_AFTER

    def end(self) -> None:
        """Delete the row of this worker, which has ended without an error."""
        _running_here.discard(self.id)
        Heartbeat.objects.using(database()).filter(pk=self.id).delete()


def _is_running(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it belongs to another user
        return True
    return True
