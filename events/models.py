"""The tables of the store: events, aggregates and seals."""

from collections.abc import Collection, Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Any, Generic, NoReturn, Self
from uuid import UUID

from django.db import connections, models
from django.db.models.expressions import RawSQL
from django.db.models.fields.json import KeyTextTransform
from django.db.models.lookups import Exact, In, IsNull
from django.utils.functional import cached_property

from . import decoding
from .exceptions import ImmutableEvent, InvalidEvent, UnreadableEvent
from .fields import ExactJSONField
from .generics import Payload
from .hydration import hydrate, is_initialization_observed
from .types import EARLIEST, LATEST
from .visible import visible


def _reject(*args: Any, **kwargs: Any) -> NoReturn:
    raise ImmutableEvent(
        "Stored events cannot be changed or removed; append an event that corrects them, with EventStore.dispatch()"
    )


# PostgreSQL takes more joined ranges for so many rows that it reads the whole table, and compares each row with each of
# them.
_MAX_RANGES = 8
# So many aggregates are looked up one by one. With more of them, a scan by position soon has a page of events.
_MAX_LOOKED_UP = 10_000


def ids_in_categories(categories: Collection[str]) -> models.Q:
    """Return the condition on aggregates `category` and `category-…`: a few ranges of an index on `aggregate_id`.

    The condition on many categories is one look-up in a hash table for each row that a query reads.
    """
    if len(categories) > _MAX_RANGES:
        return models.Q(In(_CATEGORY, sorted(categories)))
    condition = models.Q(pk__in=[])
    for category in categories:
        if "-" not in category:  # no category has a dash
            condition |= models.Q(aggregate_id=category) | models.Q(aggregate_id__startswith=f"{category}-")
    return condition


def span_of_categories(categories: Collection[str]) -> models.Q:
    """Return a condition on the aggregate ids from the first of `categories` to the last, with all ids in between.

    PostgreSQL cannot read ranges that are joined by OR in order; it would scan the index from the first id on.
    """
    if not categories:
        return models.Q(pk__in=[])
    beyond = max(f"{category}." for category in categories)  # "." is the character after "-"
    return models.Q(aggregate_id__gte=min(categories), aggregate_id__lt=beyond)


_CATEGORY = models.Func(
    models.F("aggregate_id"), models.Value("-"), models.Value(1), function="split_part", output_field=models.TextField()
)


def _showable(field: str) -> models.Case:
    """Return the moment of a field; NULL for a moment that Python, or a time zone, cannot represent."""
    return models.Case(models.When(**{f"{field}__range": (EARLIEST, LATEST)}, then=field))


class AppendOnlyQuerySet(models.QuerySet):
    """A queryset that only reads. Its writing methods raise ImmutableEvent; the database's triggers reject the rest."""

    create = get_or_create = update_or_create = bulk_create = _reject
    update = bulk_update = delete = _raw_delete = _reject


class CategorizedQuerySet(AppendOnlyQuerySet):
    """Rows each of which belongs to a category."""

    def in_category(self, *categories: str) -> Self:
        raise NotImplementedError

    def within(self, names: Collection[str] | None) -> Self:
        """Return the rows of the categories `names`; None is no restriction."""
        return self if names is None else self.in_category(*sorted(names))


class AggregateQuerySet(CategorizedQuerySet):
    def in_category(self, *categories: str) -> Self:
        # The index on one category is already in the order of the ids.
        span = span_of_categories(categories) if len(categories) > 1 else models.Q()
        return self.filter(span, category__in=categories)


class EventQuerySet(CategorizedQuerySet):
    def of_aggregate(self, aggregate_id: str) -> Self:
        return self.filter(aggregate_id=aggregate_id)

    def after(self, position: int) -> Self:
        return self.filter(position__gt=position)

    def up_to(self, position: int) -> Self:
        return self.filter(position__lte=position)

    def of_types(self, *types: str | type[Any]) -> Self:
        """Return the events of any of `types`, names or payload classes, under whatever name they are stored."""
        return self.filter(type__in=decoding.stored_names(types))

    def in_category(self, *categories: str) -> Self:
        """Return the events of any of `categories`. Whether many categories are rare takes a query to find out."""
        if len(categories) > _MAX_RANGES and self._are_rare(categories):
            # An array makes PostgreSQL look up each aggregate too.
            condition = f"events_event.aggregate_id = ANY (ARRAY({_AGGREGATES_OF}))"
            return self.filter(RawSQL(condition, [list(categories)], models.BooleanField()))  # noqa: S611
        return self.filter(ids_in_categories(categories))

    def _are_rare(self, categories: Collection[str]) -> bool:
        with connections[self.db].cursor() as cursor:
            found = f"SELECT count(*) FROM ({_AGGREGATES_OF} LIMIT {_MAX_LOOKED_UP}) AS found"  # noqa: S608
            cursor.execute(found, [list(categories)])
            return bool(cursor.fetchone()[0] < _MAX_LOOKED_UP)

    def correlated_by(self, correlation_id: str) -> Self:
        return self.filter(Exact(KeyTextTransform("correlation_id", "metadata"), correlation_id))

    def with_showable_moments(self) -> Self:
        """Return the events whose moments lie within the years that can be shown, as an append demands."""
        return self.filter(timestamp__range=(EARLIEST, LATEST), recorded_at__range=(EARLIEST, LATEST))

    def headings(self) -> Self:
        """Return the events without JSON, with their moments as `happened` and `stored`.

        So any number of large events can be listed, and events that Python cannot represent too: their moments are None
        if they lie outside the years that can be shown.
        """
        moments = {"happened": _showable("timestamp"), "stored": _showable("recorded_at")}
        return self.defer("data", "metadata", "timestamp", "recorded_at").annotate(**moments)


# OFFSET makes PostgreSQL look up each category: a join by estimates may read all aggregates.
_AGGREGATES_OF = (
    "SELECT a.aggregate_id FROM unnest(%s::text[]) AS given(category) CROSS JOIN LATERAL"
    " (SELECT aggregate_id FROM events_aggregate WHERE category = given.category OFFSET 0) AS a"
)


class AppendOnlyModel(models.Model):
    """A model whose rows only SQL functions and the sealer write: `save()` and `delete()` raise ImmutableEvent."""

    class Meta:
        abstract = True

    def save(self, *args: Any, **kwargs: Any) -> None:
        _reject()

    def delete(self, *args: Any, **kwargs: Any) -> NoReturn:
        _reject()


class Aggregate(AppendOnlyModel):
    """An aggregate and its current version. Its first event creates the row, and each further one updates it."""

    aggregate_id = models.TextField(primary_key=True, db_collation="C")
    # Not a generated column: PostgreSQL would prepare its expression again for each append.
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
        return visible(self.aggregate_id)


class Seal(AppendOnlyModel):
    """The digest of all events up to a position, which reveals later changes (`events.integrity.seals`)."""

    position = models.BigIntegerField(primary_key=True, help_text="The position of the last event it covers.")
    after = models.BigIntegerField(help_text="The position of the seal before; 0 for the first seal.")
    events = models.IntegerField(help_text="The number of events it covers.")
    previous = models.BinaryField(help_text="The digest of the seal before: 32 bytes.")
    digest = models.BinaryField(help_text="SHA-256 of the previous digest and the events: 32 bytes.")
    marks = models.BinaryField(help_text="The first 4 bytes of each event's digest, to find the one that differs.")
    sealed_at = models.DateTimeField()

    objects = AppendOnlyQuerySet.as_manager()

    def __str__(self) -> str:
        return f"seal up to {self.position}"


if TYPE_CHECKING:

    class _Typed(AppendOnlyModel, Generic[Payload]):
        class Meta:
            abstract = True

else:
    # Django's migrations cannot have Generic as a base of a model.
    class _Typed(AppendOnlyModel):
        class Meta:
            abstract = True

        def __class_getitem__(cls, payload_class: Any) -> type[Self]:
            return cls


class Event(_Typed[Payload]):
    """A stored event; it never changes."""

    position: "models.BigAutoField[int, int]" = models.BigAutoField(
        primary_key=True, help_text="Its number in the whole store: rising, with gaps."
    )
    # No foreign key: the append functions write both rows, and a check per event would cost time.
    aggregate_id: "models.TextField[str, str]" = models.TextField(db_collation="C")
    version: "models.BigIntegerField[int, int]" = models.BigIntegerField(
        help_text="Its number in its aggregate: 1, 2, 3 …, without gaps."
    )
    event_id: "models.UUIDField[UUID, UUID]" = models.UUIDField(unique=True)
    type: "models.TextField[str, str]" = models.TextField(db_collation="C")
    data = ExactJSONField()
    metadata = ExactJSONField()
    timestamp: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(help_text="When it happened.")
    recorded_at: "models.DateTimeField[datetime, datetime]" = models.DateTimeField(help_text="When it was stored.")

    objects = EventQuerySet.as_manager()

    # Why the stored event cannot be read; only readers that go on behind such events return them. What Python cannot
    # represent is None. Data that its event type cannot decode is absent, and reading it raises `_error`.
    unreadable = ""
    _error: UnreadableEvent | None = None
    _stored: decoding.Stored | None = None

    class Meta:
        ordering = ["position"]
        # The BRIN index on recorded_at is in the migrations: Django's class for it needs django.contrib.postgres.
        indexes = [
            models.Index(fields=["type", "position"], name="events_event_type"),
            # Without the position, PostgreSQL would read the whole table for a search in order of positions.
            models.Index(
                KeyTextTransform("correlation_id", "metadata"),
                "position",
                condition=models.Q(IsNull(KeyTextTransform("correlation_id", "metadata"), False)),
                name="events_event_correlation",
            ),
        ]
        constraints = [models.UniqueConstraint(fields=["aggregate_id", "version"], name="events_event_version")]
        permissions = [("view_metrics", "Can read the metrics of the store")]

    def __str__(self) -> str:
        return visible(f"{self.aggregate_id} {self.version}: {self.type}")

    @cached_property
    def payload(self) -> Payload:
        """The payload: an object of the class of its event type; for a type that is not registered, the data.

        Raises:
            UnreadableEvent: the stored data does not fit the class.
        """
        try:
            payload: Payload = decoding.payload(self.type, self.data)
        except InvalidEvent as error:
            raise UnreadableEvent(
                self.position, self.event_id, str(error), type=self.stored_type, version=self._schema_version
            ) from error
        return payload

    @property
    def stored_type(self) -> str:
        """The type as it was written, which may be an earlier name of the type."""
        return self._stored.type if self._stored else self.type

    @property
    def stored_version(self) -> Any:
        """The schema version in which the data was written, if the event was stored in another form; None if not."""
        return self._stored.version if self._stored else None

    @property
    def stored_data(self) -> Any:
        """The data as it was written, perhaps in an earlier schema version."""
        data = self.readable_data  # reads what was deferred
        return self._stored.data if self._stored else data

    @property
    def stored_metadata(self) -> Any:
        """The metadata as it was written, with the schema version in which the data was written."""
        metadata = self.metadata
        return self._stored.metadata if self._stored else metadata

    @property
    def readable_data(self) -> Any:
        """The data; None if it cannot be read."""
        return None if self._error else self.data

    @property
    def error(self) -> UnreadableEvent:
        """The error of an event that cannot be read."""
        return self._error or UnreadableEvent(self.position, self.event_id, self.unreadable)

    @property
    def _schema_version(self) -> Any:
        return self._stored.version if self._stored else (self.metadata or {}).get(decoding.SCHEMA, 1)

    def refresh_from_db(self, using: str | None = None, fields: Any = None, from_queryset: Any = None) -> None:
        """Read fields again, as Django's method does; the type, the data and the metadata only together."""
        if self._error and fields is not None and "data" in fields:
            raise self._error
        if fields is None or decoding.DECODED.isdisjoint(fields):
            super().refresh_from_db(using, fields, from_queryset)
            return
        rest = [name for name in fields if name not in decoding.DECODED]
        queryset = type(self)._base_manager.using(using or self._state.db) if from_queryset is None else from_queryset
        fresh = queryset.only(*decoding.DECODED, *rest).get(pk=self.pk)
        vars(self).update({name: value for name, value in vars(fresh).items() if name != "_state"})
        vars(self).pop("payload", None)
        if "data" in fields and fresh._error:
            raise fresh._error

    @classmethod
    def from_db(cls, db: str | None, field_names: Collection[str], values: Collection[Any], **state: Any) -> Self:
        """Return a stored event, as Django's method does."""
        row = dict(zip(field_names, values, strict=True))
        if decoding.types:
            decoding.decode_partial(row)
        if is_initialization_observed(cls):
            fields = {name: row.pop(name) for name in field_names if name in row}
            event = super().from_db(db, fields.keys(), fields.values(), **state)
            vars(event).update(row)
            return event
        (event,) = hydrate(cls, [row], db, state)
        return event

    @classmethod
    def many_from_db(cls, db: str, rows: Iterable[dict[str, Any]]) -> list[Self]:
        """Return the events of rows that have all fields; each row becomes the `__dict__` of its event."""
        if is_initialization_observed(cls):
            return [cls.from_db(db, row.keys(), row.values()) for row in rows]
        return hydrate(cls, decoding.decode(rows) if decoding.types else rows, db, {})
