"""What tables of Delta and Iceberg have in common: keys of jobs, writers that meet, describing columns."""

from __future__ import annotations

import json
import random
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, TypeVar, cast

import pyarrow as pa

from headrace.columns.arrow_schema import columns_of
from headrace.columns.handover import safe_reader
from headrace.destinations.impl.filesystem.lakefiles import LakeVersion, Moved
from headrace.destinations.impl.filesystem.tableformats import TablePlace
from headrace.errors.destination import DestinationTransientException
from headrace.load.destination import Applied
from headrace.model.changes import RowChanges
from headrace.model.effects import Partition, TableVersion, known
from headrace.typing import TTableSchema, TTableSchemaColumns

KEY = "headrace.job"
CHANGES = "headrace.changes"
ATTEMPTS = 12

T = TypeVar("T")

_locks: dict[str, threading.Lock] = {}
_locks_lock = threading.Lock()


class TableMovedOn(DestinationTransientException):
    """Other writers were faster again and again."""

    def __init__(self, place: TablePlace) -> None:
        super().__init__(
            f"Table `{place.table_name}` of dataset `{place.dataset_name}` got no new version from this job.",
            why=f"other writers committed to it {ATTEMPTS} times while the job was at work",
            fix="it is tried again; let fewer pipelines write into the table at the same time",
        )


def again_while_moved(place: TablePlace, act: Callable[[], T]) -> T:
    """Do something that begins with reading the table's version, again while other writers are faster.

    Raises:
        TableMovedOn: They are too often.
    """
    for attempt in range(ATTEMPTS):
        try:
            return act()
        except Moved:
            time.sleep(random.uniform(0, 0.05 * 2 ** min(attempt, 6)))
    raise TableMovedOn(place)


def to_text(changes: RowChanges) -> str:
    """Changes for a commit's properties."""
    return json.dumps(list(changes))


def from_text(text: Any) -> RowChanges:
    """Changes out of a commit's properties; unknown where they are not readable."""
    try:
        return RowChanges(*json.loads(text))
    except (TypeError, ValueError):
        return RowChanges(None, None, None, None)


class LakeTable(ABC):
    """A table at a place, whether it exists or not.

    Args:
        place: Where.
        schema: Its schema.

    Attributes:
        place: Where.
    """

    def __init__(self, place: TablePlace, schema: TTableSchema) -> None:
        self.place, self._table = place, schema

    @abstractmethod
    def version(self) -> LakeVersion:
        """The newest version.

        Raises:
            DestinationUndefinedEntity: There is no such table.
        """

    @abstractmethod
    def applied_by(self, key: str) -> Applied | None:
        """What the job of a key did to the table; None when the table does not know the key."""

    def applied(
        self,
        rows: int,
        changes: RowChanges,
        version: TableVersion | None,
        partitions: list[Partition] | None = None,
    ) -> Applied:
        """What a job did to this table alone; None where that is not known, for a partition none."""
        name = self.place.table_name
        return Applied(
            rows=rows,
            changes={name: changes},
            versions={name: version} if version is not None else {},
            partitions=known({name: partitions or None}),
        )

    @abstractmethod
    def arrow_schema(self) -> pa.Schema | None:
        """Of its rows; None when there is no table."""

    def commits(self) -> threading.Lock:
        """Held while a commit is made: threads of one process need not find out by failing."""
        with _locks_lock:
            return _locks.setdefault(self.place.url, threading.Lock())

    def describe(self) -> TTableSchemaColumns | None:
        """Its columns; None when there is no table."""
        schema = self.arrow_schema()
        return None if schema is None else cast(TTableSchemaColumns, columns_of(schema))

    def read(self, columns: Sequence[str] | None = None) -> pa.RecordBatchReader:
        """All rows, or some columns of them, as a stream of one version."""
        version = self.version()
        names = list(columns) if columns is not None else version.schema.names
        schema = pa.schema([version.schema.field(name) for name in names])
        batches = (batch for file in version.files() for batch in version.read(file, names))
        return safe_reader(pa.RecordBatchReader.from_batches(schema, batches))


def wanted_columns(columns: TTableSchemaColumns) -> dict[str, Any]:
    """The columns that have a type."""
    return {name: column for name, column in cast("dict[str, Any]", columns).items() if column.get("data_type")}
