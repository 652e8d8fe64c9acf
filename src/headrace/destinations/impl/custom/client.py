"""The client that gives rows to a function. There is no dataset: nothing is remembered but in the package."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import TracebackType
from typing import TYPE_CHECKING, Any

from headrace.destinations.impl.custom.batches import batches
from headrace.destinations.impl.custom.progress import Progress
from headrace.errors.base import TerminalException
from headrace.errors.destination import DestinationTerminalException, DestinationTransientException
from headrace.errors.verdict import verdict
from headrace.load.destination import AnyChange, Applied, Client, LoadContext, StoredSchema, StoredState
from headrace.model.capabilities import Capabilities
from headrace.model.changes import UNKNOWN_CHANGES
from headrace.model.jobs import AnyJob, Copy, LoadFile
from headrace.model.schema import Schema
from headrace.typing import TTableSchema, TTableSchemaColumns

if TYPE_CHECKING:
    from typing_extensions import Self


class ForgetfulClient(Client):
    """A client of a place that keeps no records: no dataset, no schemas, no states, no loads."""

    keeps_tables = False

    def __init__(self, schema: Schema, capabilities: Capabilities) -> None:
        self.schema, self.capabilities = schema, capabilities

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def has_dataset(self) -> bool:
        """There is nothing that could be missing."""
        return True

    def create_dataset(self) -> None:
        """There is nothing to make."""

    def drop_dataset(self) -> None:
        """There is nothing to drop."""

    def describe(self, tables: Sequence[str]) -> dict[str, TTableSchemaColumns | None]:
        """The tables of the schema that the client was made with, as the schema has them."""
        known = self.schema.tables
        return {name: known[name].get("columns", {}) if name in known else None for name in tables}

    def migrate(self, changes: Sequence[AnyChange]) -> None:
        """Rows bring their columns with them."""

    def complete(self, context: LoadContext) -> dict[str, Any] | None:
        """There is no table of loads."""
        return None

    def is_complete(self, load_id: str) -> bool:
        """Only the package knows."""
        return False

    def store_schema(self, schema: Schema) -> None:
        """There is no table of schemas."""

    def read_schema(self, schema_name: str | None = None, version_hash: str | None = None) -> StoredSchema | None:
        """There is no table of schemas."""
        return None

    def read_state(self, pipeline_name: str) -> StoredState | None:
        """There is no table of states."""
        return None

    def drop_schema_history(self, schema_name: str) -> None:
        """There is no table of schemas."""


class CustomClient(ForgetfulClient):
    """Gives the rows of each file to a function, in batches, and notes how far it came.

    Args:
        schema: The schema.
        capabilities: Of the destination.
        name: Of the destination, for errors.
        function: Takes items and the table's schema.
        batch_size: Rows of a call; 0 gives paths of files.
        skip: Keep back what headrace adds.
    """

    def __init__(
        self,
        schema: Schema,
        capabilities: Capabilities,
        *,
        name: str,
        function: Callable[[Any, TTableSchema], Any],
        batch_size: int,
        skip: bool,
    ) -> None:
        super().__init__(schema, capabilities)
        self._name, self._function = name, function
        self._batch_size, self._skip = batch_size, skip

    def apply(self, job: AnyJob, context: LoadContext) -> Applied:
        """Give the rows of a job's files to the function, but for those that it has taken already."""
        if not isinstance(job, Copy):
            return Applied()  # a function cannot be emptied: rows of a replace are told by the table's disposition
        rows = 0
        changes = {}
        for file in job.files:
            if self._skip and context.schema.is_dlt_table(file.table):
                continue
            rows += self._give(file, context)
            changes[file.table] = UNKNOWN_CHANGES
        return Applied(rows=rows, changes=changes)

    def _give(self, file: LoadFile, context: LoadContext) -> int:
        table, hidden = self._table(file, context)
        path = context.path / file.path
        with Progress(context.path, file.id) as progress:
            begun = progress.rows
            if not self._batch_size:
                if not begun:
                    self._call(str(path), table, f"with the file {path}")
                    progress.took(max(1, file.rows))
                    return file.rows
                return 0
            for items, rows in batches(file, path, self._batch_size, begun, hidden, table["columns"]):
                self._call(items, table, f"at rows {progress.rows + 1} to {progress.rows + rows}")
                progress.took(rows)
            return progress.rows - begun

    def _table(self, file: LoadFile, context: LoadContext) -> tuple[TTableSchema, frozenset[str]]:
        """The table's schema as the function may see it, and the columns that it may not."""
        whole: TTableSchema = context.schema.tables[file.table]
        columns = whole.get("columns", {})
        prefix = context.schema.naming.normalize_identifier("_dlt")
        hidden = frozenset(name for name in columns if self._skip and name.startswith(prefix))
        known = {n: c for n, c in columns.items() if n not in hidden and c.get("data_type")}
        return {**whole, "columns": known}, hidden

    def _call(self, items: Any, table: TTableSchema, where: str) -> None:
        try:
            self._function(items, table)
        except TerminalException:
            raise
        except Exception as error:
            # a web service that refuses would refuse the same rows again
            final = verdict(error) == "terminal"
            made = (DestinationTerminalException if final else DestinationTransientException)(
                f"The function of destination `{self._name}` failed {where} of table `{table['name']}`.",
                why=f"{type(error).__name__}: {error}",
                fix="correct the function, the rows or the service, then `pipeline.retry_failed_jobs()`"
                if final
                else "it is called again with the same rows; raise `DestinationTerminalException` where that is no use",
            )
            raise made from error
