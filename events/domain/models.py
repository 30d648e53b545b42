"""The tables of the domain toolkit: snapshots of aggregates, and the answers to commands."""

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


class CommandAnswer(models.Model):
    """The answer to a command that came over HTTP with an idempotency key: repeating the request returns it again."""

    key = models.UUIDField(primary_key=True, help_text="Derived from the user, the idempotency key and the address.")
    body_digest = models.BinaryField(help_text="SHA-256 of the arguments: 32 bytes.")
    answer = models.JSONField(null=True, help_text="The body of the response; null while the command runs.")
    handled_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        default_permissions = ()
        indexes = [models.Index(fields=["handled_at"], name="events_domain_answer_age")]

    def __str__(self) -> str:
        return str(self.key)
