"""Hooks: be told of everything that happens in a run, and stop or change what must not happen.

::

    from headrace.hooks import Drop, JobFailed, NewColumn, Park, Run, Veto

    @pipeline.on(JobFailed)
    def tell(event: JobFailed) -> None: ...

    class NoEmails:
        def decide(self, change: NewColumn, run: Run) -> Drop | None:
            return Drop("personal data") if "email" in change.column else None

    pipeline.guard(NoEmails())

An observer has a method ``notify(event, run)``, a gate ``check(package, run)`` or ``decide(change, run)``; events are
the members of `AnyEvent`. See ``docs/guide/hooks.md``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from headrace.base.lazy import lazy_names as _lazy_names

_EVENTS = (
    *("AnyEvent", "DurableEvent", "Event"),
    *("RunStarted", "RunEnded", "StepStarted", "StepEnded", "StepRetried", "Progress"),
    *(
        "PackageCreated",
        "PackageMoved",
        "SourceStarted",
        "SourceEnded",
        "Extracted",
        "Normalized",
        "Loaded",
        "Aborted",
        "PackageParked",
        "Reopened",
        "RolledBack",
    ),
    *("Planned", "JobStarted", "JobDone", "JobRetried", "JobFailed", "JobSkipped"),
    *("SchemaEvolved", "TableAdded", "ColumnAdded", "VariantAdded", "SchemaMigrating", "SchemaMigrated"),
    "TablesChanged",
    *("CastFailed", "ContractViolated", "Rejected", "StateCommitted", "ColumnsDecided", "GateDecided"),
)
_DECISIONS = (
    *("Accept", "Drop", "Retype", "Freeze", "SchemaDecision", "Stop", "Park", "Skip", "LoadDecision"),
    *("NewColumn", "ColumnDecision"),
)

_where = {
    **{name: f"headrace.model.events:{name}" for name in _EVENTS},
    **{name: f"headrace.model.decisions:{name}" for name in _DECISIONS},
    **{name: f"headrace.bus.observer:{name}" for name in ("Observer", "OnEvent", "Queued", "Run")},
    **{name: f"headrace.bus.gates:{name}" for name in ("Gate", "SchemaGate")},
    **{name: f"headrace.errors.bus:{name}" for name in ("GateFailed", "Veto")},
    "Bus": "headrace.bus.bus:Bus",
    "SupportsTracking": "headrace.pipeline.trace:SupportsTracking",
    "Collector": "headrace.observers.collector:Collector",
}

__getattr__, __dir__ = _lazy_names(__name__, _where)

if TYPE_CHECKING:
    from headrace.bus.bus import Bus as Bus
    from headrace.bus.gates import Gate as Gate
    from headrace.bus.gates import SchemaGate as SchemaGate
    from headrace.bus.observer import Observer as Observer
    from headrace.bus.observer import OnEvent as OnEvent
    from headrace.bus.observer import Queued as Queued
    from headrace.bus.observer import Run as Run
    from headrace.errors.bus import GateFailed as GateFailed
    from headrace.errors.bus import Veto as Veto
    from headrace.model.decisions import Accept as Accept
    from headrace.model.decisions import ColumnDecision as ColumnDecision
    from headrace.model.decisions import Drop as Drop
    from headrace.model.decisions import Freeze as Freeze
    from headrace.model.decisions import LoadDecision as LoadDecision
    from headrace.model.decisions import NewColumn as NewColumn
    from headrace.model.decisions import Park as Park
    from headrace.model.decisions import Retype as Retype
    from headrace.model.decisions import SchemaDecision as SchemaDecision
    from headrace.model.decisions import Skip as Skip
    from headrace.model.decisions import Stop as Stop
    from headrace.model.events import *  # noqa: F403
    from headrace.observers.collector import Collector as Collector
    from headrace.pipeline.trace import SupportsTracking as SupportsTracking

__all__ = sorted(_where)
