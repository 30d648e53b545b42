"""How long to wait between two looks for new events."""

import time
from typing import Final

BUSY_SECONDS: Final = 0.001
BUSY_FOR_SECONDS: Final = 0.25


class Backoff:
    """The pause between two looks: a moment while there are new events, longer and longer while there are none."""

    def __init__(self) -> None:
        self._found_at = time.monotonic()

    def reset(self) -> None:
        """Take note that there was something new."""
        self._found_at = time.monotonic()

    def quiet_seconds(self) -> float:
        """Return how long there has been nothing new."""
        return time.monotonic() - self._found_at

    def pause_seconds(self, longest: float) -> float:
        """Return how long to wait before the next look, at most `longest`."""
        quiet = self.quiet_seconds()
        if quiet < BUSY_FOR_SECONDS:
            return BUSY_SECONDS
        return min(longest, BUSY_SECONDS * quiet / BUSY_FOR_SECONDS * 4)
