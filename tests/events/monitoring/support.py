"""Helpers for the doctor's tests."""

from django.utils import timezone

from projections.models import Heartbeat
from tests.support import new


def beat() -> None:
    now = timezone.now()
    Heartbeat.objects.create(id=new().event_id, host="h", pid=1, started_at=now, seen_at=now)
