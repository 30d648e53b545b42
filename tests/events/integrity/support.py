"""Helpers that seal, verify and tamper."""

from typing import Any

from django.db import connection, transaction

from events.integrity import seals
from events.integrity.seals import StoreDigest
from events.integrity.verification import Verification

SQL = "UPDATE events_event SET "


def seal_all() -> StoreDigest:
    while seals.seal("default"):
        pass
    return seals.newest_digest("default")


def verify(**options: Any) -> Verification:
    verification = Verification("default", **options)
    for _ in verification.run():
        pass
    return verification


def tamper(*statements: str, **values: Any) -> None:
    """Do what nobody may: as the superuser, with the guards off."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SET LOCAL session_replication_role = 'replica'")
        for statement in statements:
            cursor.execute(statement, values)
