"""The client that does as it is told."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence

from headrace.base import signals
from headrace.destinations.impl.custom.client import ForgetfulClient
from headrace.destinations.impl.dummy.configuration import DummyClientConfiguration
from headrace.errors.destination import DestinationTerminalException, DestinationTransientException
from headrace.load.destination import AnyChange, Applied, LoadContext
from headrace.model.capabilities import Capabilities
from headrace.model.jobs import AnyJob
from headrace.model.schema import Schema

_LOOK_AGAIN = 0.1


class DummyClient(ForgetfulClient):
    """Takes jobs and keeps nothing of them.

    Args:
        schema: The schema.
        capabilities: Of the destination.
        settings: What goes wrong.
    """

    def __init__(self, schema: Schema, capabilities: Capabilities, settings: DummyClientConfiguration) -> None:
        super().__init__(schema, capabilities)
        self._settings = settings

    def describe(self, tables: Sequence[str]) -> dict[str, None]:  # type: ignore[override] # narrower
        """No table is ever there."""
        return dict.fromkeys(tables)

    def migrate(self, changes: Sequence[AnyChange]) -> None:
        """Refuse or take changes of tables, as the settings say."""
        if self._settings.fail_schema_update:
            raise DestinationTerminalException("The change of tables was refused, by the setting `fail_schema_update`.")
        if self._settings.fail_schema_update_transiently:
            raise DestinationTransientException(
                "The change of tables failed, by the setting `fail_schema_update_transiently`."
            )

    def apply(self, job: AnyJob, context: LoadContext) -> Applied:
        """Refuse or take a job, as the settings say."""
        what = f"Job {context.key(job)} of {', '.join(job.tables)}"
        if self._settings.fail_terminally_in_init:
            raise DestinationTerminalException(f"{what} failed, by the setting `fail_terminally_in_init`.")
        if self._settings.fail_transiently_in_init:
            raise RuntimeError(f"{what} failed, by the setting `fail_transiently_in_init`.")
        deadline = time.monotonic() + self._settings.timeout
        while not self._is_done(job, what):
            if time.monotonic() > deadline:
                raise DestinationTerminalException(f"{what} failed, by the setting `timeout`.")
            signals.sleep(_LOOK_AGAIN)
        return Applied(rows=sum(file.rows for file in job.files))

    def _is_done(self, job: AnyJob, what: str) -> bool:
        """Throw the dice once; False when they decide nothing."""
        settings = self._settings
        if _happens(settings.exception_prob):
            raise RuntimeError(f"{what} failed, by the setting `exception_prob`.")
        if _happens(settings.completed_prob):
            return True
        if _happens(settings.retry_prob):
            raise DestinationTransientException(f"{what} failed, by the setting `retry_prob`.")
        if settings.fail_table_names is not None:
            if named := [table for table in job.tables if table in settings.fail_table_names]:
                raise DestinationTerminalException(
                    f"{what} failed, by the setting `fail_table_names` for {', '.join(named)}."
                )
            return True
        if _happens(settings.fail_prob):
            raise DestinationTerminalException(f"{what} failed, by the setting `fail_prob`.")
        return False


def _happens(probability: float) -> bool:
    return random.random() < probability
