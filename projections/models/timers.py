"""The timers of reactions: events that are stored when their time comes."""

from collections.abc import Collection
from datetime import datetime
from typing import Self

from django.db import models

from events.fields import ExactJSONField
from events.storage.query_files import fetch_tuples, read_query
from events.validation import MAX_NAME_CHARACTERS
from events.visible import visible

from .state import NAME_CHARACTERS


class TimerQuerySet(models.QuerySet["Timer"]):
    def of(self, reaction: str) -> Self:
        return self.filter(reaction=reaction)

    def failed(self) -> Self:
        """Return the timers whose event was rejected too often, which only an operator fires or cancels."""
        return self.filter(next_attempt_at__isnull=True)

    def reactions(self) -> list[str]:
        """Return the names of the reactions that have timers, each by one look into an index."""
        names: list[str] = []
        while True:
            after = self.filter(reaction__gt=names[-1] if names else "").order_by("reaction")
            name = after.values_list("reaction", flat=True).first()
            if name is None:
                return names
            names.append(name)

    def next_due(self, reactions: Collection[str]) -> dict[str, datetime]:
        """Return when the next timer of each reaction is due, for those that have any; an index answers it."""
        return dict(fetch_tuples(self.db, read_query(__package__, "next_due"), [list(reactions)]))


class Timer(models.Model):
    """An event that a reaction has scheduled. The row is deleted in the transaction that stores the event.

    It does not refer to the state of its reaction: it stays when the reaction is renamed, or forgotten.
    """

    reaction = models.CharField(max_length=NAME_CHARACTERS)
    key = models.CharField(max_length=MAX_NAME_CHARACTERS, db_collation="C")
    due_at = models.DateTimeField(help_text="The timestamp of the event.")
    scheduled_at = models.DateTimeField(auto_now_add=True)
    source_position = models.BigIntegerField(help_text="Of the event because of which it was scheduled.")

    event_id = models.UUIDField()
    aggregate_id = models.TextField(db_collation="C")
    type = models.TextField()
    data = ExactJSONField()
    metadata = ExactJSONField()

    attempts = models.PositiveIntegerField(default=0, help_text="How often the event was rejected.")
    next_attempt_at = models.DateTimeField(
        null=True, help_text="When it fires, or is retried; empty if its event was rejected too often."
    )
    error = models.TextField(blank=True)

    objects = TimerQuerySet.as_manager()

    class Meta:
        ordering = ["due_at", "id"]
        constraints = [models.UniqueConstraint(fields=["reaction", "key"], name="projections_timer_key")]
        indexes = [
            models.Index(fields=["reaction", "next_attempt_at", "id"], name="projections_timer_due"),
            models.Index(fields=["source_position"], name="projections_timer_source"),
        ]

    def __str__(self) -> str:
        return visible(f"{self.key} of {self.reaction}")
