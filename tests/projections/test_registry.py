"""The registry of projections."""

import pytest

from projections import registry
from projections.exceptions import UnknownProjection


def test_unknown_projection_is_an_error_that_lists_those_there_are() -> None:
    with pytest.raises(UnknownProjection, match=r"There is no projection 'tallly'; registered projections: .*tally"):
        registry.get("tallly")
