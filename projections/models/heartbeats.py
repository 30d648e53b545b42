"""The heartbeats of workers: which processes work, and for which projections."""

from datetime import timedelta
from typing import Final

from django.db import models
from django.utils import timezone

# A worker says that it is alive every 5 seconds between its passes, and a handler may take 30 seconds by default.
# A worker that is silent for longer was killed, or hangs.
MAX_SILENCE: Final = timedelta(seconds=40)


class Heartbeat(models.Model):
    """A worker process, and what it reported last."""

    id = models.UUIDField(primary_key=True)
    host = models.CharField(max_length=255)
    pid = models.PositiveIntegerField()
    started_at = models.DateTimeField()
    seen_at = models.DateTimeField()
    projections = models.JSONField(default=list, help_text="The names of the projections that it works for.")
    rebuilds_only = models.BooleanField(default=False, help_text="Whether it works on their rebuilds only.")
    doing = models.TextField(blank=True)
    events = models.BigIntegerField(default=0, help_text="Events handled since the worker started.")

    class Meta:
        verbose_name = "worker"
        ordering = ["started_at"]

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}"

    @property
    def is_alive(self) -> bool:
        """Whether it works, as far as is known. One that ends deletes its row; one that is killed is silent."""
        return self.seen_at > timezone.now() - MAX_SILENCE

    @property
    def works_for(self) -> str:
        names = ", ".join(self.projections)
        return f"rebuild of {names}" if self.rebuilds_only else names
