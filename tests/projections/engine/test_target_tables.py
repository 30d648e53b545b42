"""Handlers write to the tables that are served, or to the shadow tables of a rebuild."""

import pytest
from django.db import DatabaseError, connection, transaction

from projections.engine.target_tables import first_in_search_path, shadow_schema, tables_of
from projections.models import Build, Checkpoint, ProjectionState, Rebuild

pytestmark = pytest.mark.django_db


def search_path() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('search_path')")
        return str(cursor.fetchone()[0])


@pytest.mark.parametrize(
    ("build", "in_place", "shadowed"),
    [(Build.LIVE, False, False), (Build.REBUILD, True, False), (Build.REBUILD, False, True)],
)
def test_rebuild_beside_the_served_rows_writes_to_its_own_schema(build: Build, in_place: bool, shadowed: bool) -> None:
    before = search_path()
    state = ProjectionState.objects.get(pk="tally")
    Rebuild.objects.create(projection=state, version=1, in_place=in_place, by="me")
    checkpoint = Checkpoint(projection=state, build=build, version=1, position=0)
    with tables_of(checkpoint):
        inside = search_path()
    assert inside == (f'"{shadow_schema("tally")}", {before}' if shadowed else before)
    assert search_path() == before


def test_error_takes_the_search_path_back_with_its_savepoint() -> None:
    before = search_path()
    with pytest.raises(DatabaseError), transaction.atomic():
        with first_in_search_path('Strange "name'):
            assert search_path().startswith('"Strange ""name", ')
            connection.cursor().execute("SELECT 1 / 0")
    assert search_path() == before
