"""How often to look for something new."""

import time

BUSY_SECONDS = 0.001
BUSY_FOR_SECONDS = 0.25


class Pace:
    """A pause between two looks: hardly any while something happens, longer and longer when nothing does."""

    def __init__(self) -> None:
        self._found_at = time.monotonic()

    def found(self) -> None:
        """Something was there."""
        self._found_at = time.monotonic()

    def quiet_seconds(self) -> float:
        """How long nothing has been there."""
        return time.monotonic() - self._found_at

    def pause_seconds(self, longest: float) -> float:
        """How long to wait before the next look, at most `longest`."""
        quiet = self.quiet_seconds()
        if quiet < BUSY_FOR_SECONDS:
            return BUSY_SECONDS
        return min(longest, BUSY_SECONDS * quiet / BUSY_FOR_SECONDS * 4)
