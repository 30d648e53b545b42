"""Reading the store for the checks: by SQL of our own, of one moment, and past the indexes, which might lie."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tests.torture.checks import Stored
from tests.torture.readmodels import READ_MODELS
from tests.torture.server import Server


@dataclass(frozen=True)
class Reading:
    """The store at one moment."""

    stored: Sequence[Stored]
    aggregates: dict[str, int]
    rows: dict[str, Sequence[Any]]  # of each read model
    expected_rows: dict[str, Sequence[Any]]
    parked: Sequence[Any]

    @property
    def last_position(self) -> int:
        return max((event.position for event in self.stored), default=0)


def read(server: Server) -> Reading:
    with server.connect() as connection, connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        for kind in ("indexscan", "indexonlyscan", "bitmapscan"):
            connection.execute(f"SET LOCAL enable_{kind} = off")

        def rows(query: str) -> Sequence[Any]:
            return connection.execute(query).fetchall()

        # What nobody can read has no journal.
        events = rows(
            "SELECT position, aggregate_id, version, event_id::text, type,"
            " CASE WHEN aggregate_id NOT LIKE 'unreadable-%' THEN data END FROM events_event ORDER BY 1"
        )
        return Reading(
            stored=[Stored(*row) for row in events],
            aggregates=dict(rows("SELECT aggregate_id, version FROM events_aggregate")),
            rows={name: rows(model.rows) for name, model in READ_MODELS.items()},
            expected_rows={name: rows(model.expected) for name, model in READ_MODELS.items()},
            parked=rows(
                "SELECT projection_id, position, error FROM projections_parkedevent"
                " WHERE aggregate_id NOT LIKE 'unreadable-%'"
            ),
        )


def waiting(server: Server) -> list[str]:
    """Which projections have not come to the last event, or are being rebuilt."""
    with server.connect() as connection:
        query = (
            "SELECT projection_id FROM projections_checkpoint"
            " WHERE position < (SELECT max(position) FROM events_event)"
            " UNION SELECT projection_id FROM projections_rebuild"
        )
        return [name for (name,) in connection.execute(query)]


def settings(server: Server) -> dict[str, str]:
    """What the server is told about keeping what it has acknowledged."""
    with server.connect() as connection:
        query = (
            "SELECT name, setting FROM pg_settings WHERE name IN ('fsync', 'full_page_writes', 'synchronous_commit')"
        )
        return dict(connection.execute(query).fetchall())
