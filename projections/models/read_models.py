"""The read models that come with the app. The projection of the same name in `projections.py` fills each of them."""

from collections.abc import Collection
from typing import Self

from django.db import models

from events.models import ids_in_categories, span_of_categories
from events.visible import visible

# Bare UUIDs or numbers as aggregate ids make each aggregate a category: the number of rows of a day has a limit.
MAX_DAILY_CATEGORIES = 200
OTHER_CATEGORIES = "-"  # no category has a dash


class AggregateActivityQuerySet(models.QuerySet):
    def within(self, names: Collection[str] | None) -> Self:
        """Narrow to these categories; None for all."""
        return self if names is None else self.filter(span_of_categories(names), ids_in_categories(names))


class DailyActivityQuerySet(models.QuerySet):
    def within(self, names: Collection[str] | None) -> Self:
        """Narrow to these categories; None for all."""
        return self if names is None else self.filter(category__in=names)


class AggregateActivity(models.Model):
    """The first and the last event of an aggregate, and how many events it has."""

    aggregate_id = models.TextField(primary_key=True, db_collation="C")
    event_count = models.BigIntegerField()
    first_type = models.TextField()
    first_timestamp = models.DateTimeField(help_text="When its first event happened.")
    first_recorded_at = models.DateTimeField(help_text="When its first event was stored.")
    last_type = models.TextField()
    last_timestamp = models.DateTimeField(help_text="When its last event happened.")
    last_recorded_at = models.DateTimeField(help_text="When its last event was stored.")

    objects = AggregateActivityQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "aggregate activity"

    def __str__(self) -> str:
        return visible(self.aggregate_id)


class EventTypeActivity(models.Model):
    """How many events of a type are stored, and when the first and the last were stored."""

    type = models.TextField(primary_key=True, db_collation="C")
    event_count = models.BigIntegerField()
    first_position = models.BigIntegerField()
    last_position = models.BigIntegerField()
    first_recorded_at = models.DateTimeField(help_text="When the first of them was stored.")
    last_recorded_at = models.DateTimeField(help_text="When the last of them was stored.")

    class Meta:
        verbose_name_plural = "event type activity"

    def __str__(self) -> str:
        return visible(self.type)


class DailyActivity(models.Model):
    """How many events of a category happened on a day (UTC, by their `timestamp`)."""

    day = models.DateField()
    category = models.TextField(
        db_collation="C", help_text="A category; `-`: those that are not among the first 200 of their day."
    )
    event_count = models.BigIntegerField()

    objects = DailyActivityQuerySet.as_manager()

    class Meta:
        verbose_name_plural = "daily activity"
        constraints = [models.UniqueConstraint(fields=["day", "category"], name="projections_daily_activity_day")]

    def __str__(self) -> str:
        return visible(f"{self.day} {self.category}")
