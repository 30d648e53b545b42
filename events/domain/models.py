"""The tables of the domain toolkit: snapshots of aggregates."""

from django.db import models

from events.visible import visible


class Snapshot(models.Model):
    """The state of an aggregate after the events up to a version, as one version of the code has computed it.

    Snapshots save time and hold nothing of their own: they may be deleted at any time.
    """

    aggregate_id = models.TextField(db_collation="C")
    fingerprint = models.TextField(db_collation="C", help_text="Of the code that has computed the state.")
    version = models.BigIntegerField(help_text="The version of the last event in the state.")
    event_id = models.UUIDField(help_text="The id of that event; with another event there, the snapshot is not used.")
    # Text, because jsonb would write numbers in another way, and nothing searches it.
    state = models.TextField(help_text="The fields of the state as JSON.")
    taken_at = models.DateTimeField()

    class Meta:
        default_permissions = ()
        constraints = [
            # Processes with older code keep their snapshots beside those of newer code.
            models.UniqueConstraint(fields=["aggregate_id", "fingerprint"], name="events_domain_snapshot_of")
        ]

    def __str__(self) -> str:
        return visible(f"snapshot of {self.aggregate_id} at version {self.version}")
