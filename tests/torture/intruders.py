"""Sessions that try, as each database role, all that the role may not, and hold the locks that any role can."""

import random
import threading
import time
from typing import TYPE_CHECKING, Any, Self

import psycopg
from django.db import connection
from psycopg.errors import InsufficientPrivilege, OperationalError

from events.management.commands.events_grants import WITH_READ_MODELS
from events.monitoring.grants import Grants
from tests.events.monitoring.attacks import FORBIDDEN, FORBIDDEN_TO_ALL, ROLES
from tests.torture.server import Server

if TYPE_CHECKING:
    from psycopg import Connection

PAUSE_SECONDS = 0.05
LOCK = "SELECT pg_advisory_lock(oid::int, {}) FROM pg_class WHERE relname ~ '^(events|projections)_' AND relkind = 'r'"


class Intruders:
    """A thread that attacks, one role after the other, and comes back after whatever breaks.

    Attributes:
        rejected: how many attacks were rejected.
        findings: the attacks that were not, in words.
    """

    def __init__(self, server: Server, seed: int) -> None:
        self.rejected = 0
        self.findings: list[str] = []
        self._server = server
        self._chance = random.Random(f"{seed} intruders")
        self._ending = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        grants = Grants("default")
        with connection.cursor() as cursor:
            for kind in ROLES:
                extra = [["projections"]] if kind in WITH_READ_MODELS else []
                cursor.execute(f"CREATE ROLE intruder_{kind}")
                for statement in getattr(grants, kind)(f"intruder_{kind}", *extra):
                    cursor.execute(statement)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._ending = True
        self._thread.join(2)

    def _run(self) -> None:
        while not self._ending:
            try:
                with self._server.connect() as session:
                    self._attack(session, self._chance.choice(ROLES))
            except (OperationalError, psycopg.InterfaceError):  # the server is away, or its disk is full
                pass
            time.sleep(PAUSE_SECONDS)

    def _attack(self, session: "Connection[Any]", kind: str) -> None:
        session.execute(f"SET SESSION AUTHORIZATION intruder_{kind}")
        session.execute(LOCK.format(self._chance.choice((0, "hashtext('shop_orders')"))))
        for name, statement in (FORBIDDEN_TO_ALL | FORBIDDEN[kind]).items():
            if self._ending:
                return
            try:
                session.execute(f"BEGIN; {statement}; ROLLBACK")
            except InsufficientPrivilege:
                self.rejected += 1
                session.execute("ROLLBACK")
            else:
                self.findings.append(f"intruded: {kind}, {name}")
