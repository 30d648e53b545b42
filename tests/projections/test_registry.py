"""The registry of projections."""

import pytest

from projections import registry
from projections.exceptions import UnknownProjection
from tests.projections.reactions.support import Reminds, registered


def test_unknown_projection_is_an_error_that_lists_those_there_are() -> None:
    with pytest.raises(UnknownProjection, match=r"There is no projection 'tallly'; registered projections: .*tally"):
        registry.get("tallly")


def test_reactions_are_told_from_projections() -> None:
    with registered(Reminds):
        assert registry.has_reaction("reminds")
    assert not registry.has_reaction("reminds")
    assert not registry.has_reaction("tally")
