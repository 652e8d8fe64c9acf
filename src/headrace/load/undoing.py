"""Undoing loads: the part of the port by which a destination keeps what loads change, and puts it back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from headrace.errors.rollback import RollbackNotSupported
from headrace.model.events import JobDone, SchemaMigrated
from headrace.model.undo import UndoPlan

if TYPE_CHECKING:
    from headrace.load.destination import LoadContext
    from headrace.model.capabilities import Capabilities
    from headrace.model.undo import UndoLoad, UndoReport
    from headrace.package.package import Package


def undo_plan(package: Package, keep: int, capabilities: Capabilities) -> UndoPlan | None:
    """What the load of a package has to keep; None when nothing is asked for, or the destination cannot."""
    if keep <= 0 or not capabilities.supports_undo:
        return None
    document = package.load_state() or {}
    return UndoPlan(
        pipeline_name=package.pipeline_name,
        keep=keep,
        before=document.get("before"),
        is_late=package.was_loaded or package.fact(SchemaMigrated) is not None or package.fact(JobDone) is not None,
    )


class UndoApi:
    """Methods of a client. Destinations that keep nothing leave them as they are."""

    def begin_undo(self, context: LoadContext) -> None:
        """Keep from now on what the load of ``context.undo`` changes; safe to repeat, and before its first change."""

    def prune_undo(self, context: LoadContext) -> None:
        """Forget what was kept of loads that are older than ``context.undo`` asks for."""

    def undo_loads(self) -> list[UndoLoad]:
        """Loads of the dataset that can be undone or were undone, oldest first."""
        return []

    def roll_back(self, load_ids: Sequence[str]) -> UndoReport:
        """Undo loads at once: all of them or, when it raises or dies, none.

        Args:
            load_ids: The loads, newest first.

        Raises:
            RollbackNotSupported: The destination cannot.
            RollbackImpossible: Other writers have changed the same tables since, or something was not kept.
        """
        raise RollbackNotSupported(type(self).__name__)
