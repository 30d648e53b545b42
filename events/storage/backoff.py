"""The pause between two polls for new events."""

import time
from typing import Final

BUSY_SECONDS: Final = 0.001
BUSY_FOR_SECONDS: Final = 0.25


class Backoff:
    """The pause between two polls: short while there are new events, and growing while there are none."""

    def __init__(self) -> None:
        self._found_at = time.monotonic()

    def reset(self) -> None:
        """Record that there was a new event; pauses begin short again."""
        self._found_at = time.monotonic()

    def quiet_seconds(self) -> float:
        """Return the seconds since the last new event."""
        return time.monotonic() - self._found_at

    def pause_seconds(self, longest: float) -> float:
        """Return the seconds to wait before the next poll, at most `longest`."""
        quiet = self.quiet_seconds()
        if quiet < BUSY_FOR_SECONDS:
            return BUSY_SECONDS
        return min(longest, BUSY_SECONDS * quiet / BUSY_FOR_SECONDS * 4)
