"""The read models that this app ships."""

from django.db import models


class AggregateActivity(models.Model):
    """What has happened to an aggregate, in one row of its own: writers of different aggregates never meet here."""

    aggregate_id = models.TextField(primary_key=True, db_collation="C")
    event_count = models.BigIntegerField()
    first_type = models.TextField()
    first_timestamp = models.DateTimeField(help_text="When its first event happened.")
    first_recorded_at = models.DateTimeField(help_text="When its first event was stored.")
    last_type = models.TextField()
    last_timestamp = models.DateTimeField(help_text="When its last event happened.")
    last_recorded_at = models.DateTimeField(help_text="When its last event was stored.")

    class Meta:
        verbose_name_plural = "aggregate activity"

    def __str__(self) -> str:
        return self.aggregate_id
