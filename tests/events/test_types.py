"""Expected versions."""

from typing import Any

import pytest

from events.exceptions import InvalidEvent
from events.store import EventStore
from tests.support import new, stored

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("expected", [-1, True, "3", 1.0, 2**63, None, {"a-1": -2}, {"a-1": "any"}, {"": 1}])
def test_invalid_expected_version_is_rejected(store: EventStore, expected: Any) -> None:
    with pytest.raises(InvalidEvent, match="expected_version"):
        store.dispatch(new(), expected_version=expected)
    assert stored() == []
