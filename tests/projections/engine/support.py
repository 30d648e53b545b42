"""Events that a projection of the tests cannot handle."""

from typing import Any

from tests.support import new


def fragile(aggregate_id: str, poison: Any = None) -> Any:
    return new(aggregate_id, "Fragile", data={"poison": poison} if poison else {})
