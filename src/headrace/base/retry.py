"""How often and how long to try again."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True)
class RetryPolicy:
    """Waits that grow from one attempt to the next, with a random part so that many clients do not come at once.

    Attributes:
        attempts: How many tries in all, the first one included.
        first_wait: Seconds before the second try.
        factor: What each further wait is multiplied by.
        max_wait: The longest wait in seconds.
        jitter: The random share of a wait, 0 to 1.
    """

    attempts: int = 5
    first_wait: float = 0.1
    factor: float = 2.0
    max_wait: float = 10.0
    jitter: float = 0.25

    def wait(self, failures: int) -> float:
        """Seconds to wait after so many failures (1 for the first)."""
        plain = min(self.max_wait, self.first_wait * self.factor ** max(0, failures - 1))
        return plain * (1 - self.jitter * random.random())

    def call(
        self,
        act: Callable[[], T],
        again: Callable[[Exception], bool],
        sleep: Callable[[float], None] = time.sleep,
    ) -> T:
        """Call until it succeeds.

        Args:
            act: What to do.
            again: Whether an error is worth another try.
            sleep: How to wait, in seconds.

        Returns:
            What ``act`` returned.

        Raises:
            Exception: The last error, when ``again`` said no or the attempts are used up.
        """
        failures = 0
        while True:
            try:
                return act()
            except Exception as error:
                failures += 1
                if failures >= self.attempts or not again(error):
                    raise
                sleep(self.wait(failures))
