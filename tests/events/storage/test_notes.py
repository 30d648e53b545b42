"""Notes about a transaction live as long as its savepoints."""

import pytest
from django.db import connection, transaction

from events.storage.notes import Note


@pytest.mark.django_db
def test_note_goes_with_its_savepoint_and_may_be_called() -> None:
    kept, lost = Note(), Note()
    transaction.on_commit(kept)
    with pytest.raises(LookupError), transaction.atomic():
        transaction.on_commit(lost)
        raise LookupError
    with transaction.atomic():
        transaction.on_commit(kept)
    assert [entry[1] for entry in connection.run_on_commit] == [kept, kept]
    assert kept() is None
