"""Helpers for the doctor's tests."""

from django.utils import timezone

from events.monitoring.diagnostics import Finding, diagnostics
from projections import registry
from projections.models import Heartbeat
from tests.support import new


def beat() -> None:
    now, names = timezone.now(), [each.name for each in registry.all_projections()]
    Heartbeat.objects.create(id=new().event_id, host="h", pid=1, started_at=now, seen_at=now, projections=names)


MAINTAIN = "SET LOCAL events.maintenance = 'on'; "


def findings() -> list[Finding]:
    return [finding for each in diagnostics("default") for finding in each.diagnose("default")]
