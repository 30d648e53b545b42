"""The queries in the files `queries/NAME.sql` of each package."""

from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import Any

from django.db import connections


@cache
def read_query(package: str | None, name: str) -> str:
    """Return the text of the query `name` of a package; pass `__package__`."""
    return files(package or "").joinpath("queries", f"{name}.sql").read_text(encoding="utf-8")


def fetch_tuples(using: str, query: str, arguments: Any = ()) -> list[tuple[Any, ...]]:
    """Return the rows of a query."""
    with connections[using].cursor() as cursor:
        cursor.execute(query, arguments)
        rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows


def fetch_dicts(using: str, query: str, arguments: Sequence[Any] = ()) -> list[dict[str, Any]]:
    """Return the rows of a query as dictionaries by column name."""
    with connections[using].cursor() as cursor:
        cursor.execute(query, arguments)
        names = [column.name for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
