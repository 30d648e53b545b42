"""The values that filters and forms suggest, found without a table scan."""

from collections.abc import Collection, Iterable

from django.db import connections, models

from events import decoding
from events.models import Aggregate, Event
from events.storage.query_files import fetch_tuples, read_query

MAX_VALUES = 200
# The number of aggregates whose event types are suggested to users who may not read all categories.
_SAMPLED_AGGREGATES = 200


def types_to_append(categories: Collection[str] | None, using: str) -> list[str]:
    """Return the event types to suggest for an event: those of `known_types`, and those with a payload class."""
    return _newest_names({*known_types(categories, using), *decoding.types})


def known_types(categories: Collection[str] | None, using: str) -> list[str]:
    """Return the event types to suggest: of all events, or of some aggregates in each of `categories`.

    A type that has had other names is suggested by its newest one.
    """
    if categories is None:
        return _newest_names(distinct_values(Event, "type", using))
    aggregates = max(1, _SAMPLED_AGGREGATES // max(1, len(categories)))
    query = read_query(__package__, "types_of_categories")
    return _newest_names(name for (name,) in fetch_tuples(using, query, [sorted(categories), aggregates]))


def _newest_names(stored: Iterable[str]) -> list[str]:
    return sorted({decoding.name_of(name) for name in stored})


def known_categories(using: str) -> list[str]:
    """Return the categories to suggest: all, or the frequent ones if they are too many.

    Bare UUIDs or numbers as aggregate ids make each aggregate a category.
    """
    categories = distinct_values(Aggregate, "category", using, MAX_VALUES + 1)
    if len(categories) <= MAX_VALUES:
        return categories
    frequent = [category for (category,) in fetch_tuples(using, read_query(__package__, "frequent_categories"))]
    return sorted(frequent) or categories[:MAX_VALUES]


def distinct_values(model: type[models.Model], column: str, using: str, limit: int = MAX_VALUES) -> list[str]:
    """Return the first `limit` distinct values of an indexed column, in order."""
    quote = connections[using].ops.quote_name
    query = read_query(__package__, "distinct_values").format(column=quote(column), table=quote(model._meta.db_table))
    return [value for (value,) in fetch_tuples(using, query, [limit])]
