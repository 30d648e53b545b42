"""Queries lie in files beside the code that sends them."""

from pathlib import Path

import pytest

import events.monitoring
from events.storage.query_files import fetch_dicts, read_query
from tests import ROOT


def test_query_is_the_text_of_its_file() -> None:
    package = events.monitoring.__name__
    (path, *_) = sorted((Path(events.monitoring.__file__).parent / "queries").glob("*.sql"))
    assert read_query(package, path.stem) == path.read_text(encoding="utf-8")


def test_unknown_query_is_an_error() -> None:
    with pytest.raises(FileNotFoundError):
        read_query(events.monitoring.__name__, "no_such_query")


def test_every_query_file_is_sent() -> None:
    """A file whose name stands in no module of its package is left over."""
    for path in [*(ROOT / "events").rglob("queries/*.sql"), *(ROOT / "projections").rglob("queries/*.sql")]:
        code = "".join(each.read_text(encoding="utf-8") for each in path.parents[1].glob("*.py"))
        assert f'"{path.stem}"' in code, path


@pytest.mark.django_db
def test_rows_are_named_by_their_columns() -> None:
    query = "SELECT %s::int AS a, 'x' AS b UNION ALL SELECT 2, 'y'"
    assert fetch_dicts("default", query, [1]) == [{"a": 1, "b": "x"}, {"a": 2, "b": "y"}]
    assert fetch_dicts("default", "SELECT 1 AS a WHERE false") == []
