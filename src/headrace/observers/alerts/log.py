"""The log as a channel: for those who have no other, and for programs that collect logs."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from headrace.base.logs import get_logger
from headrace.observers.alerts.alert import Alert, TKind

logger = get_logger("headrace.alerts")


class Log:
    """Writes alerts to the logger ``headrace.alerts``: trouble as warnings, also changes of tables; the rest as infos.

    Args:
        on: What is told; all when None.
    """

    name = "log"

    def __init__(self, on: Sequence[TKind] | None = None) -> None:
        self.on = on

    def send(self, alert: Alert) -> None:
        """Write an alert."""
        grave = alert.is_trouble or "schema_change" in alert.kinds
        logger.log(logging.WARNING if grave else logging.INFO, "%s", alert.text())
