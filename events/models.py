"""The two tables of the store: aggregates, and the events that are their histories."""

from collections.abc import Collection, Iterable
from typing import Any, NoReturn, Self

from django.db import models
from django.db.models.fields.json import KeyTextTransform
from django.db.models.lookups import Exact, IsNull

from .exceptions import ImmutableEvent
from .fields import ExactJSONField
from .hydration import hydrate, is_initialization_observed


def _reject(*args: Any, **kwargs: Any) -> NoReturn:
    raise ImmutableEvent(
        "Events are never changed or removed; append one that corrects the old, with EventStore.dispatch()"
    )


def ids_in_categories(categories: Collection[str]) -> models.Q:
    """Return the condition on aggregates `category` and `category-…`: ranges of an index on `aggregate_id`."""
    wanted = models.Q(pk__in=[])
    for category in categories:
        if "-" in category:
            continue  # an aggregate id, or the beginning of one: no category has a dash
        wanted |= models.Q(aggregate_id=category) | models.Q(aggregate_id__startswith=f"{category}-")
    return wanted


def span_of_categories(categories: Collection[str]) -> models.Q:
    """Return the condition on aggregate ids from the first of these categories to the last; others lie between.

    PostgreSQL reads no ranges joined by OR in order: it would look through all ids from the very first one on.
    """
    if not categories:
        return models.Q(pk__in=[])
    beyond = max(f"{category}." for category in categories)  # a full stop is what follows a dash
    return models.Q(aggregate_id__gte=min(categories), aggregate_id__lt=beyond)


class AppendOnlyQuerySet(models.QuerySet):
    """A queryset that reads. Every way to write through it is rejected; the database's guards stand behind it."""

    create = get_or_create = update_or_create = bulk_create = _reject
    update = bulk_update = delete = _raw_delete = _reject


class CategorizedQuerySet(AppendOnlyQuerySet):
    """Rows that belong to a category each."""

    def in_category(self, *categories: str) -> Self:
        raise NotImplementedError

    def within(self, names: Collection[str] | None) -> Self:
        """Narrow to the categories that somebody may see; None is no restriction."""
        return self if names is None else self.in_category(*sorted(names))


class AggregateQuerySet(CategorizedQuerySet):
    def in_category(self, *categories: str) -> Self:
        # Of one category, the index on it is in order of the ids already.
        span = span_of_categories(categories) if len(categories) > 1 else models.Q()
        return self.filter(span, category__in=categories)


class EventQuerySet(CategorizedQuerySet):
    def of_aggregate(self, aggregate_id: str) -> Self:
        return self.filter(aggregate_id=aggregate_id)

    def after(self, position: int) -> Self:
        return self.filter(position__gt=position)

    def up_to(self, position: int) -> Self:
        return self.filter(position__lte=position)

    def of_types(self, *types: str) -> Self:
        return self.filter(type__in=types)

    def in_category(self, *categories: str) -> Self:
        return self.filter(ids_in_categories(categories))

    def correlated_by(self, correlation_id: str) -> Self:
        return self.filter(Exact(KeyTextTransform("correlation_id", "metadata"), correlation_id))


class AppendOnlyModel(models.Model):
    """A model whose rows are written by the append functions alone."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        _reject()

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        _reject()


class Aggregate(AppendOnlyModel):
    """The thing whose history is kept. A row appears with its first event and moves on with each further one."""

    aggregate_id = models.TextField(primary_key=True, db_collation="C")
    # Written once, by the append functions. A generated column would be made ready anew for every append.
    category = models.TextField(
        db_collation="C", help_text="The part of the aggregate id before its first '-'; all of it when there is none."
    )
    version = models.BigIntegerField(help_text="The version of its last event.")
    created_at = models.DateTimeField(help_text="When its first event was stored.")
    updated_at = models.DateTimeField(help_text="When its last event was stored.")

    objects = AggregateQuerySet.as_manager()

    class Meta:
        indexes = [models.Index(fields=["category", "aggregate_id"], name="events_aggregate_category")]

    def __str__(self) -> str:
        return self.aggregate_id


class Seal(AppendOnlyModel):
    """The digest of all events up to a position, kept so that what changes later shows (`events.integrity.seals`)."""

    position = models.BigIntegerField(primary_key=True, help_text="The position of the last event it covers.")
    after = models.BigIntegerField(help_text="That of the seal before; 0 for the first one.")
    events = models.IntegerField(help_text="How many events it covers.")
    previous = models.BinaryField(help_text="The digest of the seal before: 32 bytes.")
    digest = models.BinaryField(help_text="SHA-256 over the one before and the events: 32 bytes.")
    marks = models.BinaryField(help_text="The first 4 bytes of each event's digest, to find which one does not fit.")
    sealed_at = models.DateTimeField()

    objects = AppendOnlyQuerySet.as_manager()

    def __str__(self) -> str:
        return f"seal up to {self.position}"


class Event(AppendOnlyModel):
    """An immutable fact, as it is stored."""

    position = models.BigAutoField(primary_key=True, help_text="Its number in the whole store: rising, with gaps.")
    # No foreign key: the append functions write both rows, and a check per event would cost time.
    aggregate_id = models.TextField(db_collation="C")
    version = models.BigIntegerField(help_text="Its number in its aggregate: 1, 2, 3 …, without gaps.")
    event_id = models.UUIDField(unique=True)
    type = models.TextField(db_collation="C")
    data = ExactJSONField()
    metadata = ExactJSONField()
    timestamp = models.DateTimeField(help_text="When it happened.")
    recorded_at = models.DateTimeField(help_text="When it was stored.")

    objects = EventQuerySet.as_manager()

    class Meta:
        ordering = ["position"]
        # One more is in the migrations: BRIN on recorded_at, which Django's class for it would ask of every project to
        # have django.contrib.postgres installed for.
        indexes = [
            models.Index(fields=["type", "position"], name="events_event_type"),
            # With the position, or a search by correlation id, in order, would rather read the whole table.
            models.Index(
                KeyTextTransform("correlation_id", "metadata"),
                "position",
                condition=models.Q(IsNull(KeyTextTransform("correlation_id", "metadata"), False)),
                name="events_event_correlation",
            ),
        ]
        constraints = [models.UniqueConstraint(fields=["aggregate_id", "version"], name="events_event_version")]

    def __str__(self) -> str:
        return f"{self.aggregate_id} {self.version}: {self.type}"

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **state: Any) -> Self:
        """Build a stored event, as Django's method does."""
        if is_initialization_observed(cls):
            return super().from_db(db, field_names, values, **state)
        (event,) = hydrate(cls, [dict(zip(field_names, values, strict=True))], db, state)
        return event

    @classmethod
    def many_from_db(cls, db: str, rows: Iterable[dict[str, Any]]) -> list[Self]:
        """Build the events of rows that hold all fields; the rows become theirs."""
        if is_initialization_observed(cls):
            return [cls.from_db(db, row.keys(), row.values()) for row in rows]
        return hydrate(cls, rows, db, {})
