"""When to try again: a receiver that is down is asked seldom, so that nobody waits for it."""

from __future__ import annotations

import random
import time


class Breaker:
    """Counts failures in a row; from a number on nothing is tried for a while, then one event is.

    Args:
        failures: So many in a row open it.
        seconds: How long it stays open at first; twice as long each time the one try fails, at most ten times.
    """

    def __init__(self, failures: int = 3, seconds: float = 30.0) -> None:
        self.failures, self.seconds = max(1, failures), seconds
        self.count = 0
        self._opened = 0
        self._until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether nothing shall be tried now."""
        return self._opened > 0 and time.monotonic() < self._until

    @property
    def is_closed(self) -> bool:
        """Whether all is well."""
        return self._opened == 0

    def wait(self) -> float:
        """Seconds until the next try."""
        return max(0.0, self._until - time.monotonic())

    def good(self) -> bool:
        """Something was taken; whether it had been open."""
        was, self._opened, self.count, self._until = self._opened > 0, 0, 0, 0.0
        return was

    def bad(self, at_once: bool = False) -> bool:
        """Something was not taken; whether it opened by that for the first time.

        Args:
            at_once: Open without more tries, because each takes long.
        """
        self.count += 1
        if not (at_once or self._opened or self.count >= self.failures):
            self._until = time.monotonic() + 0.1 * 2 ** min(self.count, 6) * random.uniform(0.75, 1.25)
            return False
        self._until = time.monotonic() + min(self.seconds * 2**self._opened, 10 * self.seconds)
        self._opened = min(self._opened + 1, 10)
        return self._opened == 1
