"""The stored state of the projections: checkpoints, parked events, rebuilds, workers and operations."""

from typing import Any, Self

from django.contrib.postgres.fields import ArrayField
from django.core.checks import CheckMessage
from django.db import models

from events.visible import visible

NAME_CHARACTERS = 40


class Status(models.TextChoices):
    """The stored status of a projection; `status.describe` adds its code and its rebuild."""

    RUNNING = "running"
    PAUSED = "paused"  # by an operator
    STOPPED = "stopped"  # by an event that it could not handle, or by the breaker
    BUILDING = "building"  # INLINE, and not live before a rebuild has handled the earlier events
    UNDECIDED = "undecided"  # its tables held rows when it was registered; an operator rebuilds or keeps them


class Build(models.TextChoices):
    """Which tables a checkpoint belongs to: the tables that are served, or the tables that a rebuild fills."""

    LIVE = "live"
    REBUILD = "rebuild"


class _TypesField(ArrayField):
    """An array that needs no app of its own: Django 6 asks for `django.contrib.postgres` among the installed apps."""

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        return [message for message in super().check(**kwargs) if message.id != "postgres.E005"]

    def deconstruct(self) -> Any:
        name, _, args, kwargs = super().deconstruct()
        return name, "django.contrib.postgres.fields.ArrayField", args, kwargs


class ProjectionState(models.Model):
    """The registered state of a projection. The code may have a newer or an older version."""

    name = models.CharField(primary_key=True, max_length=NAME_CHARACTERS)
    kind = models.CharField(max_length=10, default="projection", help_text="A projection or a reaction.")
    mode = models.CharField(max_length=10, help_text="Describes the rows that are served.")
    version = models.PositiveIntegerField(help_text="Describes the rows that are served.")
    status = models.CharField(max_length=10, choices=Status, default=Status.RUNNING)
    status_reason = models.TextField(blank=True)
    status_since = models.DateTimeField(auto_now_add=True)
    start_position = models.BigIntegerField(default=0, help_text="It handles the events after this position.")
    types = _TypesField(models.TextField(), null=True, help_text="The event types that it handles; NULL for all.")

    checked_position = models.BigIntegerField(
        default=0, help_text="INLINE: the position after which stored events are compared with handled ones."
    )
    handled = models.BigIntegerField(
        default=0, help_text="INLINE: the handled events after this position; less if it has missed events before."
    )
    missed_after = models.BigIntegerField(null=True, help_text="INLINE: the position after which it has missed events.")

    class Meta:
        verbose_name = "projection"
        permissions = [("operate_projections", "Can pause, resume, rebuild projections, retry and skip parked events")]

    def __str__(self) -> str:
        return self.name


class InlineCount(models.Model):
    """How many events the transactions of one session have passed to an INLINE projection.

    Each session of the database has a row of its own, so no writer waits for another. Workers add the rows of sessions
    that have ended to `ProjectionState.handled`.
    """

    projection = models.CharField(max_length=NAME_CHARACTERS)
    backend = models.IntegerField(help_text="The process id of the session's server process.")
    handled = models.BigIntegerField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["projection", "backend"], name="projections_inline_backend")]

    def __str__(self) -> str:
        return f"{self.projection} in {self.backend}: {self.handled}"


class CheckpointQuerySet(models.QuerySet["Checkpoint"]):
    def live(self) -> Self:
        return self.filter(build=Build.LIVE)

    def of_rebuild(self) -> Self:
        return self.filter(build=Build.REBUILD)

    def lock(self) -> list["Checkpoint"]:
        """Wait for passes over these shards to end, lock the rows until the transaction ends, and return them."""
        return list(self.select_for_update().order_by("build", "shard"))


class Checkpoint(models.Model):
    """The position that one shard of a projection has reached. Only the holder of the row lock may run a pass."""

    projection = models.ForeignKey(ProjectionState, models.CASCADE, related_name="checkpoints")
    build = models.CharField(max_length=10, choices=Build, default=Build.LIVE)
    version = models.PositiveIntegerField(help_text="The version of the code that may work on it.")
    shard = models.PositiveSmallIntegerField(default=0)
    shards = models.PositiveSmallIntegerField(default=1, help_text="The number of shards.")
    position = models.BigIntegerField(help_text="All events up to this position are handled.")
    moved_at = models.DateTimeField(auto_now_add=True)
    rate = models.FloatField(default=0, help_text="Recent events per second, as of moved_at.")

    batch_limit = models.PositiveIntegerField(
        null=True, help_text="The largest batch while the failing event is being found."
    )
    attempts = models.PositiveSmallIntegerField(default=0, help_text="Failed attempts at the failing event.")
    next_attempt_at = models.DateTimeField(null=True)
    failing_position = models.BigIntegerField(null=True)
    error = models.TextField(blank=True)
    waiting_since = models.DateTimeField(
        null=True, help_text="Since when the event at failing_position waits for newer code."
    )

    unavailable_since = models.DateTimeField(
        null=True, help_text="Since when a system that the handler needs at failing_position is away."
    )

    outages = models.PositiveSmallIntegerField(
        default=0, help_text="How often an outage or a deadlock ended a pass at this position."
    )
    begun_by = models.UUIDField(null=True, help_text="The worker whose pass has begun; empty after its end.")
    suspect_until = models.BigIntegerField(
        null=True, help_text="Events up to here are handled one by one, because a worker was killed during a pass."
    )

    recent = models.JSONField(
        null=True,
        help_text="The last events, if one has failed: numbers of handled events, between them failed aggregates.",
    )
    failing_since = models.DateTimeField(null=True, help_text="When the first of the failures in recent happened.")

    objects = CheckpointQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["projection", "build", "shard"], name="projections_checkpoint_shard")
        ]

    def __str__(self) -> str:
        return f"{self.projection_id} {self.build} {self.shard + 1}/{self.shards} at {self.position}"


class ParkedEventQuerySet(models.QuerySet["ParkedEvent"]):
    def of(self, row: "Checkpoint | ParkedEvent") -> Self:
        """Return the events of the same build of the same projection."""
        return self.filter(projection=row.projection_id, build=row.build)

    def failed(self) -> Self:
        """Return the events that failed, without the events that wait behind them."""
        return self.exclude(error="")

    def retried(self) -> Self:
        """Return the events that are retried in the background: at most one of each aggregate, its first."""
        return self.filter(next_attempt_at__isnull=False)

    def given_up(self) -> Self:
        """Return the events that failed too often, which only an operator retries or skips."""
        return self.failed().filter(next_attempt_at__isnull=True)


class ParkedEvent(models.Model):
    """An event that has stepped aside: it failed, or it waits behind such an event of the same aggregate.

    The first event of an aggregate is retried in the background, as long as it has a `next_attempt_at`. A failed event
    without one is parked: an operator retries or skips it.
    """

    projection = models.ForeignKey(ProjectionState, models.CASCADE, related_name="parked_events")
    build = models.CharField(max_length=10, choices=Build, default=Build.LIVE)
    position = models.BigIntegerField()
    aggregate_id = models.TextField(db_collation="C")
    type = models.TextField()
    parked_at = models.DateTimeField(auto_now_add=True)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(
        blank=True, help_text="Empty if the event only waits behind a failed event of its aggregate."
    )
    traceback = models.TextField(blank=True)
    next_attempt_at = models.DateTimeField(
        null=True, help_text="When it is retried; empty if it is parked, or waits behind an earlier event."
    )
    outages = models.PositiveSmallIntegerField(
        default=0, help_text="How often an outage or a deadlock ended its retry."
    )
    begun_by = models.UUIDField(null=True, help_text="The worker whose retry has begun; empty after its end.")

    objects = ParkedEventQuerySet.as_manager()

    class Meta:
        ordering = ["position"]
        constraints = [
            models.UniqueConstraint(fields=["projection", "build", "position"], name="projections_parked_position")
        ]
        indexes = [
            models.Index(fields=["projection", "build", "aggregate_id", "position"], name="projections_parked_behind"),
            models.Index(
                fields=["projection", "build", "next_attempt_at"],
                condition=models.Q(next_attempt_at__isnull=False),
                name="projections_parked_retries",
            ),
        ]

    def __str__(self) -> str:
        return visible(f"{self.type} of {self.aggregate_id} at {self.position}")


class Rebuild(models.Model):
    """A rebuild that is requested or running. Any worker can continue it from its checkpoints."""

    projection = models.OneToOneField(ProjectionState, models.CASCADE, primary_key=True)
    version = models.PositiveIntegerField(help_text="The version of the code that may work on it.")
    in_place = models.BooleanField(default=False, help_text="Whether it fills the tables that are served.")
    started_at = models.DateTimeField(auto_now_add=True)
    by = models.CharField(max_length=150)
    error = models.TextField(blank=True, help_text="Why the rebuild has stopped.")
    retries_up_to = models.BigIntegerField(
        null=True, help_text="Its rows are swapped in when no event up to this position is retried any more."
    )

    def __str__(self) -> str:
        return f"{self.projection_id}, version {self.version}"


class Operation(models.Model):
    """An operation on a projection: who did it, when and why. Rows are only inserted."""

    class Action(models.TextChoices):
        PAUSE = "pause"
        RESUME = "resume"
        RETRY = "retry"
        SKIP = "skip"
        REBUILD = "rebuild"
        CANCEL = "cancel"
        KEEP = "keep"
        REWIND = "rewind"
        SEND_AGAIN = "send again"  # a rewind with new idempotency keys
        FORWARD = "forward"
        FIRE_TIMERS = "fire timers"
        CANCEL_TIMERS = "cancel timers"
        MOVE_TIMERS = "move timers"

    projection = models.CharField(max_length=NAME_CHARACTERS)
    version = models.PositiveIntegerField()
    action = models.CharField(max_length=20, choices=Action)
    at = models.DateTimeField(auto_now_add=True)
    by = models.CharField(max_length=150)
    reason = models.TextField(blank=True)
    aggregate_id = models.TextField(blank=True, db_collation="C")
    position = models.BigIntegerField(
        null=True, help_text="Of the skipped event, or of the first event after a rewind."
    )
    outcome = models.TextField(blank=True)

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["projection", "action", "position"], name="projections_operation_skips")]

    def __str__(self) -> str:
        return f"{self.action} {self.projection}"
