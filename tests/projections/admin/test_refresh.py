"""Pages that refresh themselves."""

import pytest
from django.test import Client

from projections.testing import run_until_caught_up
from tests.projections.admin.support import LIST, read

pytestmark = pytest.mark.django_db(transaction=True)


def test_refresh_leaves_messages_to_the_page_that_is_opened(operator: Client) -> None:
    run_until_caught_up("fragile")
    operator.post(LIST, {"action": "pause", "_selected_action": "fragile"})
    in_background = operator.get(LIST, headers={"X-Board-Refresh": "1"}).content.decode()
    assert "fragile is paused." not in in_background
    assert "fragile is paused." in read(operator, LIST)
