"""An error of the database becomes a line with the remedy."""

import pytest
from django.core.management import CommandError, call_command
from django.db import Error, connection, transaction

from events.storage import server_errors
from events.storage.ordering import settled_position
from events.store import EventStore
from tests.support import new

pytestmark = pytest.mark.django_db

FAULTS = {
    "restored for another owner": (
        (
            "CREATE ROLE shop; CREATE ROLE restorer; GRANT CREATE ON SCHEMA public TO restorer;"
            " ALTER TABLE events_event OWNER TO restorer; SET LOCAL ROLE shop"
        ),
        "The role 'shop' may not read public.events_event, which belongs to 'restorer'",
        (
            "Run, as 'restorer', what events_grants prints for 'shop'. If 'shop' owned the store before a restore, give"
            " it back: REASSIGN OWNED BY restorer TO shop"
        ),
    ),
    "restored by the role of initdb": (
        'CREATE ROLE "to-shop"; SET LOCAL ROLE "to-shop"',
        "The role 'to-shop' may not read public.events_event, which belongs to ",
        "restore it again, into an empty database: pg_restore --no-owner --role='to-shop'",
    ),
    "restored for another owner with a name to quote": (
        (
            'CREATE ROLE "to-shop"; CREATE ROLE restorer; GRANT CREATE ON SCHEMA public TO restorer;'
            ' ALTER TABLE events_event OWNER TO restorer; SET LOCAL ROLE "to-shop"'
        ),
        "The role 'to-shop' may not read public.events_event, which belongs to 'restorer'",
        'REASSIGN OWNED BY restorer TO "to-shop"',
    ),
    "schema without a right": (
        (
            "CREATE ROLE shop; GRANT SELECT ON events_event TO shop; REVOKE USAGE ON SCHEMA public FROM PUBLIC;"
            " SET LOCAL ROLE shop"
        ),
        "The role 'shop' may not read public.events_event",
        "what events_grants prints for 'shop'",
    ),
    "schema renamed": (
        "ALTER SCHEMA public RENAME TO moved",
        "The table events_event is in the schema 'moved', which the role ",
        "SET search_path = moved",
    ),
    "schema renamed, and searched": (
        "ALTER SCHEMA public RENAME TO moved; SET LOCAL search_path = moved",
        "The functions of the store do not search its schema 'moved'",
        "Run privileges.sql of both apps",
    ),
    "no tables": (
        "DROP TABLE events_event CASCADE",
        "The database 'default' has no table events_event",
        "Run python manage.py migrate",
    ),
    "function missing": (
        "ALTER FUNCTION events_settled_position() RENAME TO elsewhere",
        "The database 'default' lacks a part of the store: function events_settled_position() does not exist",
        "Run python manage.py migrate",
    ),
    "right to a function missing": (
        "CREATE ROLE shop; GRANT SELECT ON events_event TO shop; SET LOCAL ROLE shop",
        "lacks a right: permission denied for function events_settled_position",
        "what events_grants prints for",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_error_has_its_remedy(fault: str) -> None:
    cause, problem, remedy = FAULTS[fault]
    with connection.cursor() as cursor:
        cursor.execute(cause)
    with pytest.raises(Error) as caught, transaction.atomic():
        settled_position("default")
    found = server_errors.in_words(caught.value, "default")
    assert found.problem.startswith(problem) or problem in found.problem, found
    assert remedy in found.remedy
    assert "\n" not in str(found)
    assert found.problem.count("The ") == 1, "the error of the server is explained once"


@pytest.mark.parametrize("fault", ["schema renamed", "no tables"])
def test_error_in_an_aborted_transaction_leaves_the_remedy_to_the_doctor(fault: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(FAULTS[fault][0])
    with pytest.raises(Error, match=r"Run python manage\.py events_doctor") as caught, transaction.atomic():
        EventStore().dispatch(new())
    assert "migrate" not in str(caught.value)


def test_timeouts_and_read_only_transactions_are_named() -> None:
    for setting, named in {
        "statement_timeout = 1": "statement_timeout",
        "transaction_read_only = on": "no writes",
    }.items():
        with pytest.raises(Error) as caught, transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(f"SET LOCAL {setting}")
            cursor.execute("CREATE TABLE never AS SELECT FROM (SELECT pg_sleep(1)) AS s")
        assert named in str(server_errors.in_words(caught.value, "default"))


def test_store_without_its_functions_says_so_at_the_first_use() -> None:
    with connection.cursor() as cursor:
        cursor.execute("ALTER FUNCTION events_append_one RENAME TO elsewhere")
        cursor.execute("ALTER FUNCTION events_settled_position RENAME TO elsewhere")
    for use in (lambda: EventStore().dispatch(new()), EventStore().settled_position):
        with (
            pytest.raises(Exception, match=r"lacks a part of the store, .* without --nomigrations"),
            transaction.atomic(),
        ):
            use()


def test_store_in_a_schema_that_is_not_searched_is_not_reported_as_absent(capsys: pytest.CaptureFixture[str]) -> None:
    """`migrate`, the remedy for a store that is absent, would make a second one."""
    with connection.cursor() as cursor:
        cursor.execute('ALTER SCHEMA public RENAME TO "Moved Away"')
    for command in ("events_doctor", "verify_events"):
        with pytest.raises(CommandError) as rejected:
            call_command(command, skip_checks=True)
        told = capsys.readouterr().out + str(rejected.value)
        assert 'SET search_path = "Moved Away"' in told
        assert "migrate" not in told
