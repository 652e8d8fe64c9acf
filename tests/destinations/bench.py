"""A small workbench: a schema, a package folder and a DuckDB dataset, without the rooms in front."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from headrace.destinations.impl.duckdb.client import DuckDbClient
from headrace.destinations.reference import resolve_destination
from headrace.load.destination import Applied, LoadContext, PipelineFacts
from headrace.model.jobs import AnyJob, Copy, LoadFile, Merge, Replace
from headrace.model.migrate import plan_changes
from headrace.model.schema import Schema

ARROW_TYPES = {
    "bigint": pa.int64(),
    "text": pa.string(),
    "double": pa.float64(),
    "bool": pa.bool_(),
    "timestamp": pa.timestamp("us", "UTC"),
    "json": pa.string(),
}


def column(name: str, data_type: str = "bigint", **hints: Any) -> dict[str, Any]:
    """A column of a schema, nullable unless said otherwise."""
    return {"name": name, "data_type": data_type, "nullable": True, **hints}


def table(name: str, *columns: dict[str, Any], **facts: Any) -> dict[str, Any]:
    """A table of a schema that has seen data."""
    return {
        "name": name,
        "columns": {c["name"]: c for c in columns},
        "x-normalizer": {"seen-data": True},
        **({} if "parent" in facts else {"resource": name, "write_disposition": "append"}),
        **facts,
    }


class Bench:
    """One dataset and the packages that are loaded into it.

    Attributes:
        client: An entered client.
        folder: The package folder.
    """

    def __init__(self, client: DuckDbClient, folder: Path, schema: Schema) -> None:
        self.client, self.folder, self.schema = client, folder, schema
        self._files = self._loads = 0

    def migrate(self) -> None:
        """Make the dataset follow the schema."""
        self.client.create_dataset()
        wanted = dict(self.schema.tables)
        self.client.migrate(plan_changes(wanted, self.client.describe(list(wanted))))

    def context(self, load_id: str | None = None, created_at: float | None = None) -> LoadContext:
        """A context of a new load, or of one with a given id."""
        self._loads += 1
        return LoadContext(
            load_id=load_id or f"load{self._loads}",
            path=self.folder,
            schema=self.schema,
            created_at=time.time() if created_at is None else created_at,
        )

    def file(self, name: str, rows: Sequence[dict[str, Any]] | pa.Table, *, size: int | None = None) -> LoadFile:
        """Write a loader file of a table; columns are those of the first row."""
        self._files += 1
        path = self.folder / f"{name}.{self._files}.arrow"
        data = rows if isinstance(rows, pa.Table) else self._arrow(name, rows)
        with pa.ipc.new_stream(str(path), data.schema) as stream:
            stream.write_table(data, max_chunksize=size)
        return LoadFile(
            id=str(self._files),
            table=name,
            path=path.name,
            format="arrow",
            rows=data.num_rows,
            columns=data.column_names,
        )

    def _arrow(self, name: str, rows: Sequence[dict[str, Any]]) -> pa.Table:
        columns = self.schema.tables[name]["columns"]
        seen = [c for c in columns if any(c in row for row in rows)]
        return pa.table(
            {c: pa.array([row.get(c) for row in rows], ARROW_TYPES[str(columns[c]["data_type"])]) for c in seen}
        )

    def copy(self, *files: LoadFile) -> Copy:
        """A copy job."""
        return Copy(id="copy-0", tables=list(dict.fromkeys(f.table for f in files)), files=list(files))

    def replace(self, tables: Sequence[str], *files: LoadFile) -> Replace:
        """A replace job of a chain."""
        return Replace(id="replace-0", tables=list(tables), files=list(files))

    def merge(self, tables: Sequence[str], *files: LoadFile, strategy: str = "delete-insert") -> Merge:
        """A merge job of a chain."""
        return Merge(id="merge-0", tables=list(tables), files=list(files), strategy=strategy)

    def load(self, job: AnyJob, **facts: Any) -> int:
        """Apply a job as a load of its own."""
        return self.apply(job, **facts).rows

    def apply(self, job: AnyJob, **facts: Any) -> Applied:
        """The same, with all that it came to."""
        return self.client.apply(job, self.context(**facts))

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        """Rows of a query, sorted."""
        return sorted(self.client.sql_client.execute_sql(sql) or [], key=repr)


@contextmanager
def bench(folder: Path, *tables: dict[str, Any], migrated: bool = True, **settings: Any) -> Iterator[Bench]:
    """A workbench in a folder with some tables."""
    schema = Schema("demo")
    for each in tables:
        schema.update_table(each)  # type: ignore[arg-type]
    facts = PipelineFacts(pipeline_name="pipe", working_dir=str(folder), local_dir=str(folder))
    with resolve_destination("duckdb", **settings).open("ds", schema, facts) as client:
        assert isinstance(client, DuckDbClient)
        made = Bench(client, folder, schema)
        if migrated:
            made.migrate()
        yield made
