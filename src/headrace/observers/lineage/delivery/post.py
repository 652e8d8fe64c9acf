"""Everything that goes to the receivers of one configuration, for all pipelines that have it."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from headrace.config.lineage import LineageConfiguration, client_is_configured, is_disabled
from headrace.observers.lineage.delivery.courier import Courier
from headrace.observers.lineage.delivery.outlets import FileOutlet, Outlet
from headrace.observers.lineage.delivery.spool import Spool
from headrace.observers.lineage.parent import CONTEXT, PARENT_ID, ROOT_PARENT_ID

if TYPE_CHECKING:
    from headrace.observers.lineage.delivery.runtime import Runtime
    from headrace.observers.lineage.delivery.sink import DiskSink

_OF_RUNS = frozenset({CONTEXT, PARENT_ID, ROOT_PARENT_ID})


def has_transport(settings: LineageConfiguration) -> bool:
    """Whether events may go to somebody but a file of ours; what the client's own files say is not read here."""
    return not is_disabled() and bool(settings.url or settings.transport or client_is_configured())


class Post:
    """The receivers of a configuration.

    Args:
        runtime: Of the process.
        sink: One that has the configuration.
    """

    def __init__(self, runtime: Runtime, sink: DiskSink) -> None:
        self.runtime, self.settings = runtime, sink.settings
        self.spools: list[Spool] = []
        self.couriers: list[Courier] = []
        self.transports: list[str] = []
        self.is_local = not has_transport(sink.settings)
        if sink.path is not None:
            path, group = sink.path, sink.settings.batch_size
            self.couriers.append(Courier(self, lambda: [FileOutlet(path, group)], "file"))
        if has_transport(sink.settings):
            self.couriers.append(Courier(self, self._open, "client"))

    @staticmethod
    def key(sink: DiskSink) -> Any:
        """What two sinks have in common that send to the same receivers in the same way."""
        settings = sink.settings
        own = [settings.url, settings.endpoint, settings.api_key, settings.transport, sink.path]
        limits = [settings.batch_size, settings.breaker_failures, settings.breaker_seconds]
        # the run that started a process says nothing of where events go, and is another one for each task of a worker
        names = (name for name in os.environ if name.startswith("OPENLINEAGE_") and name not in _OF_RUNS)
        theirs = [(name, os.environ.get(name)) for name in sorted(names)]
        file = os.path.isfile("openlineage.yml") and os.getcwd()  # noqa: PTH109, PTH113 - a tenth of the time
        return repr((own, limits, theirs, file))

    def _open(self) -> list[Outlet]:
        from headrace.observers.lineage.delivery.client import open_outlets

        return list(open_outlets(self.settings))

    def more(self, outlets: list[Outlet]) -> None:
        """Further receivers were found: each gets a thread of its own."""
        for outlet in outlets:
            courier = Courier(self, lambda outlet=outlet: [outlet], "client")  # type: ignore[misc]
            courier.is_further = True
            self.couriers.append(courier)
            courier.tell()

    def tell(self, spool: Spool) -> None:
        """There are new events of a pipeline."""
        if spool not in self.spools:
            self.spools.append(spool)
        for courier in self.couriers:
            courier.tell()

    def settle(self, seconds: float) -> bool:
        """Wait until nothing can be sent any more, at most so long; whether all was sent."""
        end = time.monotonic() + seconds
        told = 0
        # those that come while we wait are waited for as well
        while told < len(self.couriers):
            courier = self.couriers[told]
            if not courier.settle(end - time.monotonic()):
                return False
            told += 1
        return all(self.is_sent(spool) for spool in self.spools)

    def is_sent(self, spool: Spool) -> bool:
        """Whether all receivers of this configuration have all events of a pipeline."""
        return all(courier.has_all(spool) for courier in self.couriers)

    def hurry(self) -> None:
        """The process ends: nothing waits for a better time."""
        for courier in self.couriers:
            courier.tell()

    def tell_left(self, seconds: float) -> None:
        """The process ends with events that are not sent: say so, where no trouble was told that explains it."""
        for courier in self.couriers:
            if not courier.has_told:
                courier.tell_left(seconds)

    def stop(self, seconds: float) -> None:
        """End the threads, and give back what they hold, as far as there is time."""
        end = time.monotonic() + seconds
        for courier in self.couriers:
            courier.stop()
        for courier in self.couriers:
            courier.join(max(0.0, end - time.monotonic()))
