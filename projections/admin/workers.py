"""The workers in the admin, with when each was last seen."""

from dataclasses import dataclass

from django.contrib import admin
from django.http import HttpRequest
from django.utils.safestring import SafeString

from events.admin.browsing import BrowsingAdmin, to_the_second
from events.routing import database
from projections.models import Heartbeat

from .board import format_ago

MAX_WORKERS = 100


@dataclass(frozen=True)
class Worker:
    """A worker on the board."""

    heartbeat: Heartbeat

    @property
    def seen(self) -> str:
        return format_ago(self.heartbeat.seen_at)

    @property
    def is_silent(self) -> bool:
        """Whether it has not been seen for so long that it has probably died or hangs."""
        return not self.heartbeat.is_alive

    @property
    def events(self) -> str:
        return f"{self.heartbeat.events:,}"

    @property
    def started(self) -> SafeString:
        return to_the_second(self.heartbeat.started_at)


def workers() -> list[Worker]:
    """Return the workers that were seen last, as many as a page shows: the silent ones first, then by start."""
    heartbeats = Heartbeat.objects.using(database()).order_by("-seen_at")[:MAX_WORKERS]
    return sorted(map(Worker, heartbeats), key=lambda worker: (not worker.is_silent, worker.heartbeat.started_at))


def may_view_workers(request: HttpRequest) -> bool:
    return request.user.has_perm("projections.view_heartbeat")


@admin.register(Heartbeat)
class HeartbeatAdmin(BrowsingAdmin):
    list_display = ["worker", "works_for", "doing", "events", "started", "seen"]
    ordering = ["started_at"]
    search_fields = []
    search_help_text = None  # type: ignore[assignment]  # Django's own default

    class Media:
        css = {"all": ["projections/board.css"]}

    @admin.display
    def worker(self, heartbeat: Heartbeat) -> str:
        return str(heartbeat)

    @admin.display
    def started(self, heartbeat: Heartbeat) -> SafeString:
        return to_the_second(heartbeat.started_at)

    @admin.display(description="last seen")
    def seen(self, heartbeat: Heartbeat) -> str:
        worker = Worker(heartbeat)
        return f"{worker.seen}, silent" if worker.is_silent else worker.seen
