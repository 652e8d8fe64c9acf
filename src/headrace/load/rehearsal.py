"""A load that writes nothing: the real code works on a client that reads, remembers and tells.

Whatever the load step would change passes through `RehearsalClient` and stays there. What it has heard counts as done
from then on: a table that one package would make exists for the next.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from headrace.errors.destination import DestinationUndefinedEntity
from headrace.errors.load import schema_update_error
from headrace.errors.outcome import DestinationException
from headrace.load.destination import (
    AddColumns,
    AlterColumn,
    AnyChange,
    Applied,
    Client,
    CreateTable,
    Destination,
    DropTable,
    LoadContext,
    PipelineFacts,
    StoredSchema,
    StoredState,
    TableComments,
)
from headrace.load.stage import Loading, LoadSettings
from headrace.load.worker import Clients
from headrace.model.jobs import AnyJob, PlannedJob, Truncate, Upload
from headrace.model.schema import Schema
from headrace.package.again import finished_jobs
from headrace.package.package import Package, ignore
from headrace.typing import TColumnSchema, TTableSchemaColumns

if TYPE_CHECKING:
    from typing_extensions import Self

T = TypeVar("T")


class Heard(msgspec.Struct):
    """What a load would do to the destination, in the order it would.

    Attributes:
        dataset: Whether the dataset would be made.
        changes: Of tables, those that a refresh drops first.
        statements: That make, change, empty or drop tables; empty where the destination does not speak in statements.
        emptied: Tables that a refresh empties.
        present: By job id: the tables of the job that would exist by then, with their columns.
        forgotten: Schemas whose stored versions would be deleted.
        stores: Whether a version of the schema would be stored that is not there yet.
    """

    dataset: bool = False
    changes: list[AnyChange] = []
    statements: list[str] = []
    emptied: list[str] = []
    present: dict[str, dict[str, TTableSchemaColumns]] = {}
    forgotten: list[str] = []
    stores: bool = False


class RehearsalClient(Client):
    """A client that asks another one and writes nothing. It works inside `over`, and remembers what it has heard."""

    _inner: Client

    def __init__(self) -> None:
        self._there = False
        self._dataset: bool | None = None
        self._forgotten: set[str] = set()
        self._tables: dict[str, TTableSchemaColumns | None] = {}
        self.heard = Heard()

    @property
    def schema(self) -> Schema:
        """The schema that the load works with."""
        return self._inner.schema

    @schema.setter
    def schema(self, schema: Schema) -> None:
        self._inner.schema = schema

    @property
    def speaks_statements(self) -> bool:  # type: ignore[override]
        """Whether changes are statements."""
        return self._inner.speaks_statements

    @property
    def keeps_tables(self) -> bool:  # type: ignore[override]
        """Whether it is known which tables there are."""
        return self._inner.keeps_tables

    def begin(self) -> Heard:
        """Listen to the next package."""
        self.heard = Heard()
        return self.heard

    @contextmanager
    def over(self, inner: Client) -> Iterator[Self]:
        """Ask a real client inside ``with``; where nothing is there to open, it is not entered."""
        self._inner, self._there, self.capabilities = inner, inner.is_there(), inner.capabilities
        with inner if self._there else nullcontext():
            yield self

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    # ---- what is there --------------------------------------------------------------------------------------------

    def _ask(self, question: Callable[[], T], none: T) -> T:
        if not self._there:
            return none
        try:
            return question()
        except DestinationUndefinedEntity:
            return none

    def has_dataset(self) -> bool:
        """Whether the dataset exists, or would by now."""
        if self._dataset is None:
            self._dataset = self._ask(self._inner.has_dataset, False)
        return self._dataset

    def describe(self, tables: Sequence[str]) -> dict[str, TTableSchemaColumns | None]:
        """Columns of tables as they are, or would be by now."""
        asked = [table for table in tables if table not in self._tables]
        if asked:
            found = self._ask(lambda: self._inner.describe(asked), dict.fromkeys(asked)) if self.has_dataset() else {}
            self._tables.update({table: found.get(table) for table in asked})
        return {table: self._tables[table] for table in tables}

    def type_of(self, column: TColumnSchema) -> str:
        """The destination's word for a column's type."""
        return self._inner.type_of(column)

    def has_default(self, table: str, column: str) -> bool:
        """Whether rows may leave out a column."""
        return self._ask(lambda: self._inner.has_default(table, column), True)

    def describe_comments(self, tables: Sequence[str]) -> dict[str, TableComments]:
        """Comments of tables as they are."""
        return self._ask(lambda: self._inner.describe_comments(tables), {})

    def is_complete(self, load_id: str) -> bool:
        """Whether the load is there."""
        return self._ask(lambda: self._inner.is_complete(load_id), False)

    def read_schema(self, schema_name: str | None = None, version_hash: str | None = None) -> StoredSchema | None:
        """A stored schema."""
        found = self._ask(lambda: self._inner.read_schema(schema_name, version_hash), None)
        return None if found is None or found.schema_name in self._forgotten else found

    def newest_schema_hash(self, schema_name: str) -> str | None:
        """The hash of the newest stored schema of a name."""
        if schema_name in self._forgotten:
            return None
        return self._ask(lambda: self._inner.newest_schema_hash(schema_name), None)

    def read_state(self, pipeline_name: str) -> StoredState | None:
        """The newest state of a pipeline."""
        return self._ask(lambda: self._inner.read_state(pipeline_name), None)

    def unfinished_loads(self) -> list[str]:
        """Loads that were never completed."""
        return self._ask(self._inner.unfinished_loads, [])

    # ---- what would be done ---------------------------------------------------------------------------------------

    def create_dataset(self) -> None:
        """Hear that the dataset is to be made if it is missing."""
        there = self.has_dataset()
        self.heard.dataset = self.heard.dataset or not there
        self.heard.statements += self._inner.foresee_dataset(there)
        self._dataset = True

    def migrate(self, changes: Sequence[AnyChange]) -> None:
        """Hear of changes, and take them for done."""
        if not changes:
            return
        self._inner.with_comments = self.with_comments
        names = dict.fromkeys([*(change.table for change in changes), *self._inner.own_tables])
        self.heard.statements += self._inner.foresee_changes(changes, self.describe(list(names)))
        self.heard.changes += changes
        for change in changes:
            self._tables[change.table] = _after(change, self._tables[change.table])
        self._tables.update({name: self._tables.get(name) or _MADE for name in self._inner.own_tables})

    def apply(self, job: AnyJob, context: LoadContext) -> Applied:
        """Hear of a job."""
        present = self.describe(job.tables)
        self.heard.statements += self._inner.foresee_job(job, context, present)
        self.heard.present[job.id] = {name: columns for name, columns in present.items() if columns}
        if isinstance(job, Truncate) and not job.files and job.id == "refresh":
            self.heard.emptied += job.tables
        return Applied()

    def complete(self, context: LoadContext) -> dict[str, Any] | None:
        """Hear that the load is to be completed."""
        self.heard.statements += self._inner.foresee_complete(self.heard.changes)
        return None

    def store_schema(self, schema: Schema) -> None:
        """Hear that a schema is to be stored."""
        self.heard.stores = self.read_schema(schema.name, schema.version_hash) is None

    def drop_schema_history(self, schema_name: str) -> None:
        """Hear that stored versions of a schema are to be deleted."""
        self.heard.forgotten.append(schema_name)
        self._forgotten.add(schema_name)

    def drop_dataset(self) -> None:
        """No load drops a dataset."""
        raise AssertionError("a load does not drop datasets")


_MADE: TTableSchemaColumns = {"changes": {"name": "changes"}}


def _after(change: AnyChange, before: TTableSchemaColumns | None) -> TTableSchemaColumns | None:
    if isinstance(change, CreateTable):
        made: TTableSchemaColumns = dict(change.schema["columns"])
        return made
    if isinstance(change, AddColumns):
        return {**(before or {}), **change.columns}
    if isinstance(change, AlterColumn):
        column: Any = change.column
        kept = {n: c for n, c in (before or {}).items() if n.casefold() != column["name"].casefold()}
        return {**kept, column["name"]: column}
    return None if isinstance(change, DropTable) else before


def rehearse(
    package: Package,
    destination: Destination,
    dataset_name: str,
    client: RehearsalClient,
    *,
    pipeline: PipelineFacts | None = None,
    settings: LoadSettings | None = None,
    schema: Schema,
    staging: Destination | None = None,
) -> list[PlannedJob]:
    """Go through the load of a package without doing any of it; arguments as of `load.stage.load`.

    Args:
        client: Hears of all that would be done.
        schema: Of the package, for this alone: it may be changed.

    Returns:
        The jobs, which are recorded in the package.

    Raises:
        HeadraceException: What the load would raise before its first job.
    """
    loading = Loading(package, destination, schema, Clients(lambda: client, client), settings or LoadSettings(), ignore)
    if staging is not None:
        loading.stage_in(staging.open_staging(dataset_name, schema, pipeline), staging.capabilities())
    if loading._is_complete():
        return []
    planned, done = loading._plan(), finished_jobs(package)
    try:
        loading._change(client, planned)
    except DestinationException as error:
        raise schema_update_error(schema.name, loading._wanted(planned), error) from error
    jobs = [job for job in planned if job.id not in done]
    for job in jobs:
        if not isinstance(job, Upload):
            client.apply(job, loading.context)
    client.complete(loading.context)
    return jobs
