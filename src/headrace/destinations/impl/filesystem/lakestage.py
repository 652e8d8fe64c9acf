"""The keys of a load, in a DuckDB of their own that spills to disk, and which rows of a lake table they hit.

Only keys, sort columns and marks of deletion are staged, each with the row's place in the load: rows themselves never
pass through DuckDB, so no type can be lost on the way.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import duckdb
import numpy as np
import pyarrow as pa

from headrace.destinations.impl.filesystem.lakefiles import FileFacts, LakeVersion, Rewrite
from headrace.destinations.impl.filesystem.lakerows import rechunk

if TYPE_CHECKING:
    from typing_extensions import Self

ROW = "_hr_row"
MEMORY = "256MB"
CHUNK = 256 * 1024


def quote(name: str) -> str:
    """A name in DuckDB's SQL."""
    return '"' + name.replace('"', '""') + '"'


class Hit(NamedTuple):
    """A condition on rows of a table: their values in some columns are among staged ones; two NULLs are equal.

    Attributes:
        columns: Of the table.
        keys: The staged table.
        key_columns: Its columns.
        remember: A staged table of rows in the load, for those that hit; None when that does not matter.
        drops: Whether rows that are hit go.
    """

    columns: Sequence[str]
    keys: str
    key_columns: Sequence[str]
    remember: str | None = None
    drops: bool = True

    def on(self, left: str, right: str) -> str:
        """The condition between two aliases: table and keys."""
        pairs = zip(self.columns, self.key_columns, strict=True)
        return " AND ".join(f"{left}.{quote(a)} IS NOT DISTINCT FROM {right}.{quote(b)}" for a, b in pairs)


class Stage:
    """A database for the time of one merge; a context manager."""

    def __enter__(self) -> Self:
        self._folder = tempfile.mkdtemp(prefix="headrace-merge-")
        self._con = duckdb.connect(
            f"{self._folder}/stage.duckdb",
            config={"memory_limit": MEMORY, "threads": 2, "preserve_insertion_order": False},
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._con.close()
        shutil.rmtree(self._folder, ignore_errors=True)

    def run(self, statement: str) -> int:
        """Execute a statement; returns the rows it touched."""
        found = self._con.execute(statement).fetchone()
        return int(found[0]) if found and isinstance(found[0], int) else 0

    def count(self, query: str) -> int:
        """The number a query gives."""
        found = self._con.execute(query).fetchone()
        return int(found[0]) if found else 0

    def load(self, name: str, batches: Iterable[pa.RecordBatch], columns: Sequence[str], schema: pa.Schema) -> None:
        """Make a staged table of some columns, with each row's place."""
        fields = [schema.field(c) for c in columns]
        empty = pa.schema([*(f.with_nullable(True) for f in fields), pa.field(ROW, pa.int64())]).empty_table()
        self._insert(empty, f"CREATE TABLE {name} AS FROM _hr_new")
        at = 0
        for table in rechunk((b.select(list(columns)) for b in batches), CHUNK):
            places = pa.array(np.arange(at, at + table.num_rows), pa.int64())
            at += table.num_rows
            self._insert(table.append_column(ROW, places), f"INSERT INTO {name} FROM _hr_new")

    def _insert(self, table: pa.Table, statement: str) -> None:
        self._con.register("_hr_new", table)
        try:
            self._con.execute(statement)
        finally:
            self._con.unregister("_hr_new")

    def places(self, query: str, rows: int) -> np.ndarray:
        """A mask over the rows of the load: those whose places a query gives."""
        mask = np.zeros(rows, bool)
        result = self._con.execute(query)
        while chunk := result.fetchmany(100_000):
            mask[np.fromiter((place for (place,) in chunk), np.int64, len(chunk))] = True
        return mask

    # ---- what is hit ----------------------------------------------------------------------------------------------

    def find(
        self, version: LakeVersion, hits: Sequence[Hit], collect: str | None = None, into: str | None = None
    ) -> Rewrite:
        """Find the rows of a version that meet one of the conditions.

        Args:
            version: The table.
            hits: The conditions.
            collect: A column of the table whose values are kept for rows that go …
            into: … in this staged table, which is made.
        """
        if collect and into:
            kind = pa.schema([version.schema.field(collect).with_nullable(True)])
            self._insert(kind.empty_table(), f"CREATE TABLE {into} AS FROM _hr_new")
        found = Rewrite()
        live = [hit for hit in hits if self.count(f"SELECT count(*) FROM (SELECT 1 FROM {hit.keys} LIMIT 1)")]
        if not live:
            return found
        names = dict.fromkeys([c for hit in live for c in hit.columns] + ([collect] if collect else []))
        for file in version.files():
            here = [hit for hit in live if self._may_hit(file, hit)]
            if not here:
                continue
            tables = rechunk(version.read(file, list(names)), CHUNK)
            masks = [self._match(table, here, collect, into) for table in tables]
            if masks:
                found.add(file, np.concatenate(masks))
        return found

    def _may_hit(self, file: FileFacts, hit: Hit) -> bool:
        """Whether a file's bounds leave room for a staged key: those that do not are not read."""
        conditions: list[str] = []
        values: list[Any] = []
        for column, key in zip(hit.columns, hit.key_columns, strict=True):
            bounds = file.bounds.get(column)
            if bounds is None:
                continue
            nulls = "" if file.nulls.get(column) == 0 else f"{quote(key)} IS NULL OR "
            conditions.append(f"({nulls}{quote(key)} BETWEEN ? AND ?)")
            values += bounds
        if not conditions:
            return True
        query = f"SELECT 1 FROM {hit.keys} WHERE {' AND '.join(conditions)} LIMIT 1"
        return self._con.execute(query, values).fetchone() is not None

    def _match(self, table: pa.Table, hits: Sequence[Hit], collect: str | None, into: str | None) -> np.ndarray:
        places = pa.array(np.arange(table.num_rows), pa.int64())
        gone = np.zeros(table.num_rows, bool)
        self._con.register("_hr_rows", table.append_column(ROW, places))
        try:
            for hit in hits:
                on = hit.on("d", "k")
                if hit.remember:
                    query = f"SELECT k.{ROW} FROM {hit.keys} AS k SEMI JOIN _hr_rows AS d ON {on}"
                    self._con.execute(f"INSERT INTO {hit.remember} {query}")
                if hit.drops:
                    query = f"SELECT d.{ROW} FROM _hr_rows AS d SEMI JOIN {hit.keys} AS k ON {on}"
                    gone[self._con.execute(query).fetchnumpy()[ROW]] = True
        finally:
            self._con.unregister("_hr_rows")
        if collect and into and gone.any():
            kept = table.select([collect]).filter(pa.array(gone))
            self._insert(kept, f"INSERT INTO {into} SELECT * FROM _hr_new WHERE {quote(collect)} IS NOT NULL")
        return gone

    def fetch(self, query: str) -> list[tuple[Any, ...]]:
        """All rows of a small result."""
        return self._con.execute(query).fetchall()
