"""The part of the SQL client that keeps what loads change, and undoes them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING

import msgspec

from headrace.base import failpoints
from headrace.destinations.sql.undobook import UndoBook
from headrace.errors.rollback import RollbackImpossible, RollbackNotSupported
from headrace.load.undoing import UndoApi

if TYPE_CHECKING:
    from headrace.destinations.sql.ledger import Ledger
    from headrace.destinations.sql.records import Records
    from headrace.destinations.sql.session import SqlClient
    from headrace.destinations.sql.undo import Keeper, Saver
    from headrace.load.destination import LoadContext
    from headrace.model.capabilities import Capabilities
    from headrace.model.jobs import AnyJob
    from headrace.model.migrate import AnyChange
    from headrace.model.undo import UndoLoad, UndoPlan, UndoReport


class UndoingClient(UndoApi):
    """What a SQL client does for the undo. Nothing of it runs while ``load.keep_undo`` is 0."""

    capabilities: Capabilities
    create_indexes: bool
    _session: SqlClient
    _ledger: Ledger
    _records: Records
    _saver: Saver | None = None
    """Set while a load changes tables and its changes are kept."""

    @property
    def _book(self) -> UndoBook:
        return UndoBook(self._session)

    def exclusive(self) -> AbstractContextManager[object]:  # noqa: D102 - of the client
        raise NotImplementedError

    def exclusive_tables(self, tables: Sequence[str]) -> AbstractContextManager[object]:  # noqa: D102
        raise NotImplementedError

    # ---- keeping --------------------------------------------------------------------------------------------------

    def begin_undo(self, context: LoadContext) -> None:
        """Keep from now on what the load changes."""
        self._saver = None
        if context.undo is None or not self.capabilities.supports_undo:
            return
        from headrace.destinations.sql.undo import Saver

        with self.exclusive(), self._session.begin_transaction():
            self._begin(context, context.undo)
        self._saver = Saver(self._session, self._book, context, unique=self.create_indexes)
        failpoints.hit("undo.begun")

    def _begin(self, context: LoadContext, plan: UndoPlan) -> None:
        if not self._book.exists():
            self._book.create()
        if self._book.knows(context.load_id):
            return
        # a process may have died between a job and its note in the package: the destination tells
        is_late = plan.is_late or (self._ledger.exists() and self._ledger.knows(context.load_id))
        self._book.begin(context.load_id, context.schema, msgspec.structs.replace(plan, is_late=is_late))

    def _keep_changes(self, changes: Sequence[AnyChange]) -> None:
        """Write down what tables are like, in the transaction that changes them."""
        if self._saver is not None:
            self._saver.note_changes(changes)

    def _keeper(self, job: AnyJob, context: LoadContext) -> Keeper | None:
        """Keeps what a job does, in its transaction; None when nothing is to be kept."""
        if context.undo is None or not self.capabilities.supports_undo:
            return None
        from headrace.destinations.sql.undo import Keeper

        return Keeper(self._session, self._book, context, job.id, unique=self.create_indexes)

    def _end_undo(self, context: LoadContext) -> None:
        """Note that the load is complete, in the transaction that completes it."""
        self._saver = None
        if context.undo is not None and self.capabilities.supports_undo and self._book.exists():
            self._book.end(context.load_id)

    def prune_undo(self, context: LoadContext) -> None:
        """Forget what was kept of older loads."""
        if context.undo is not None and self.capabilities.supports_undo:
            with self.exclusive(), self._session.begin_transaction():
                self._book.prune(context.undo.pipeline_name, context.undo.keep)

    def _drop_book(self) -> None:
        """Drop what was kept, together with the dataset."""
        if self.capabilities.supports_undo and self._book.exists():
            self._book.drop()

    # ---- undoing --------------------------------------------------------------------------------------------------

    def undo_loads(self) -> list[UndoLoad]:
        """Loads of the dataset that can be undone or were undone, oldest first."""
        return self._book.loads() if self.capabilities.supports_undo and self._book.exists() else []

    def roll_back(self, load_ids: Sequence[str]) -> UndoReport:
        """Undo loads, newest first, in one transaction."""
        from headrace.destinations.sql.undoing import Undoing

        if not self.capabilities.supports_undo:
            raise RollbackNotSupported(self._session.dialect.name)
        self._session.doing = f"undoing load {', '.join(load_ids)} in dataset `{self._session.dataset_name}`"
        ledger = self._ledger if self._ledger.exists() else None
        tables = sorted({table for load in self.undo_loads() if load.load_id in load_ids for table in load.tables})
        with self.exclusive(), self.exclusive_tables(tables), self._session.begin_transaction():
            known = {load.load_id: load for load in self._book.loads() if load.undone is None}
            undoing = Undoing(self._session, self._book, self._records, ledger)
            for load_id in load_ids:
                load = known.pop(load_id, None)
                if load is None:
                    raise RollbackImpossible(
                        load_id, "nothing is kept of it, or it was undone at this moment elsewhere"
                    )
                undoing.undo(load, list(known.values()))
                failpoints.hit("rollback.load")
            failpoints.hit("rollback.before_commit")
        failpoints.hit("rollback.committed")
        return undoing.report
