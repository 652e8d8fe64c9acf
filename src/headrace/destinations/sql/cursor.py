"""What a query gives back, in the forms people read it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from headrace.typing import TTableSchemaColumns

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class SqlCursor:
    """Rows of one query, read once. The base reads from any DB-API cursor; destinations with an Arrow door override.

    Args:
        native: The driver's cursor, its statement executed.
    """

    def __init__(self, native: Any) -> None:
        self.native_cursor = native

    @property
    def description(self) -> Sequence[Any] | None:
        """Name and type of each column, as DB-API says."""
        found: Sequence[Any] | None = self.native_cursor.description
        return found

    @property
    def column_names(self) -> list[str]:
        """Names of the columns, in order."""
        return [column[0] for column in self.description or ()]

    @property
    def columns_schema(self) -> TTableSchemaColumns:
        """The columns as a schema would describe them; types where the driver tells them."""
        return {name: {"name": name} for name in self.column_names}

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, None after the last."""
        row = self.native_cursor.fetchone()
        return None if row is None else tuple(row)

    def fetchmany(self, chunk_size: int = 1000) -> list[tuple[Any, ...]]:
        """The next ``chunk_size`` rows; empty after the last."""
        return [tuple(row) for row in self.native_cursor.fetchmany(chunk_size)]

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All remaining rows."""
        return [tuple(row) for row in self.native_cursor.fetchall()]

    def fetchscalar(self) -> Any:
        """The first column of the next row, None when there is no row."""
        row = self.fetchone()
        return row[0] if row else None

    def iter_fetch(self, chunk_size: int = 1000) -> Iterator[list[tuple[Any, ...]]]:
        """All remaining rows in lists of ``chunk_size``."""
        while rows := self.fetchmany(chunk_size):
            yield rows

    def _table(self, rows: list[tuple[Any, ...]]) -> pa.Table:
        import pyarrow as pa

        names = self.column_names
        return pa.table({name: [row[i] for row in rows] for i, name in enumerate(names)})

    def arrow(self, chunk_size: int | None = None) -> pa.Table | None:
        """All remaining rows as an Arrow table; with ``chunk_size`` the next that many, None after the last."""
        if chunk_size is None:
            return self._table(self.fetchall())
        rows = self.fetchmany(chunk_size)
        return self._table(rows) if rows else None

    def iter_arrow(self, chunk_size: int = 100_000) -> Iterator[pa.Table]:
        """All remaining rows as Arrow tables of ``chunk_size`` rows."""
        while (table := self.arrow(chunk_size)) is not None:
            yield table

    def df(self, chunk_size: int | None = None) -> pd.DataFrame | None:
        """All remaining rows as a data frame; with ``chunk_size`` the next that many, None after the last."""
        table = self.arrow(chunk_size)
        return None if table is None else table.to_pandas()

    def iter_df(self, chunk_size: int = 100_000) -> Iterator[pd.DataFrame]:
        """All remaining rows as data frames of ``chunk_size`` rows."""
        while (frame := self.df(chunk_size)) is not None:
            yield frame

    def close(self) -> None:
        """Let go of the result."""
        self.native_cursor.close()
