"""The settings of what `run` repeats by itself: section `retries`."""

from __future__ import annotations

from typing import ClassVar

from headrace.base.retry import RetryPolicy
from headrace.config.resolve import resolve_configuration
from headrace.config.spec import BaseConfiguration, configspec

STEPS = ("sync", "extract", "normalize", "load")
"""Steps of a run that may be repeated."""


@configspec
class RetriesConfiguration(BaseConfiguration):
    """How often `run` repeats a step that failed and may yet succeed: section `retries`. Waits are in seconds.

    `attempts`: tries of a step in all; 1 repeats nothing. `wait` is before the second try, each further wait is
    `factor` times as long and none longer than `max_wait`. `steps`: which are repeated.
    """

    __section__: ClassVar[str | None] = "retries"

    attempts: int = 1
    wait: float = 10.0
    factor: float = 2.0
    max_wait: float = 300.0
    steps: list[str] = list(STEPS)

    def policy(self) -> RetryPolicy:
        """The waits."""
        return RetryPolicy(
            attempts=self.attempts, first_wait=self.wait, factor=self.factor, max_wait=self.max_wait, jitter=0.25
        )

    def on_resolved(self) -> None:
        """Steps must be known."""
        from headrace.errors.base import ValueErrorWithKnownValues

        for step in self.steps:
            if step not in STEPS:
                raise ValueErrorWithKnownValues("retries.steps", step, STEPS)


def retries_settings() -> RetriesConfiguration:
    """The settings of `retries`."""
    return resolve_configuration(RetriesConfiguration(), sections=("retries",))
