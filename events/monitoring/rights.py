"""The diagnostics of what database roles may do beyond the grants of `events_grants`."""

from collections.abc import Iterator
from typing import Final

from events.storage.query_files import fetch_dicts, read_query

from .diagnostics import Finding, Severity, diagnostic

_CONSEQUENCES: Final = {
    "schema": "functions of its own may then run with the rights of other roles, instead of the store's",
    "table": "it can pass the append functions or the guards",
    "function": "every role that may connect has this right",
}


@diagnostic("No role can put its own functions and tables in the place of the store's")
def namesakes(using: str) -> Iterator[Finding]:
    for row in fetch_dicts(using, read_query(__package__, "namesakes"), ["events_event"]):
        yield Finding(
            f"the schema {row['schema']} has a {row['kind']} {row['name']} of the role {row['owner']}: roles that"
            " search this schema first use it instead of the store's",
            f"Drop it, if no program of yours needs it. Then run verify_events, and set the search_path of the roles"
            f" that search {row['schema']} to the store's schema (ALTER ROLE … SET search_path).",
        )


@diagnostic("Database roles have no more rights than events_grants gives")
def excess_rights(using: str) -> Iterator[Finding]:
    for row in fetch_dicts(using, read_query(__package__, "excess_rights")):
        yield Finding(
            f"the role {row['role']} may {row['may']}: {_CONSEQUENCES[row['what']]}", row["remedy"], Severity.WARNING
        )
