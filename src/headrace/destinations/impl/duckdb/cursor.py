"""Rows of a query in DuckDB, which speaks Arrow and pandas itself."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from headrace.destinations.impl.duckdb.dialect import DuckDbDialect
from headrace.destinations.sql.cursor import SqlCursor
from headrace.errors.destination import DestinationTerminalException
from headrace.typing import TTableSchemaColumns

if TYPE_CHECKING:
    import duckdb
    import pandas as pd
    import pyarrow as pa

    from headrace.destinations.impl.duckdb.session import DuckDbSqlClient

VECTOR = 2048
"""DuckDB hands out data frames in multiples of this many rows."""


def arrow_reader(result: Any, chunk_size: int) -> pa.RecordBatchReader:
    """The rest of a result as Arrow batches of ``chunk_size`` rows."""
    # the name of DuckDB before 1.5
    read = getattr(result, "to_arrow_reader", None) or result.fetch_record_batch
    return read(chunk_size)


class DuckDbCursor(SqlCursor):
    """Rows of one statement.

    Args:
        native: The connection, the statement executed.
        session: Whose connection it is.
    """

    native_cursor: duckdb.DuckDBPyConnection

    def __init__(self, native: Any, session: DuckDbSqlClient) -> None:
        super().__init__(native)
        self._session, self._statement = session, session.statements
        self._batches: Iterator[pa.RecordBatch] | None = None
        self._frame: pd.DataFrame | None = None

    def _mine(self) -> duckdb.DuckDBPyConnection:
        """The connection, if the result is still this cursor's: DuckDB would go on with the other one's rows."""
        if self._session.statements != self._statement:
            raise DestinationTerminalException(
                f"The rows of a query in dataset `{self._session.dataset_name}` are gone.",
                why="another statement ran on the same client before all of them were read",
                fix="read them first, or run the other statement on a client of its own: `pipeline.sql_client()`",
            )
        return self.native_cursor

    @property
    def columns_schema(self) -> TTableSchemaColumns:
        """The columns as a schema would describe them."""
        dialect = DuckDbDialect()
        return {column[0]: dialect.column_facts(column[0], str(column[1]), True) for column in self.description or ()}

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, None after the last."""
        self._mine()
        return super().fetchone()

    def fetchmany(self, chunk_size: int = 1000) -> list[tuple[Any, ...]]:
        """The next ``chunk_size`` rows; empty after the last."""
        self._mine()
        return super().fetchmany(chunk_size)

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All remaining rows."""
        self._mine()
        return super().fetchall()

    def arrow(self, chunk_size: int | None = None) -> pa.Table | None:
        """All remaining rows as an Arrow table.

        Args:
            chunk_size: Give the next that many rows, None after the last. The first call decides for the next ones.
        """
        import pyarrow as pa

        native = self._mine()
        if self._batches is None:
            if chunk_size is None:
                read = getattr(native, "to_arrow_table", None) or native.fetch_arrow_table
                return read()
            self._batches = iter(arrow_reader(native, chunk_size))
        if chunk_size is None:
            return pa.Table.from_batches(list(self._batches))
        batch = next(self._batches, None)
        return None if batch is None else pa.Table.from_batches([batch])

    def df(self, chunk_size: int | None = None) -> pd.DataFrame | None:
        """All remaining rows as a data frame; with ``chunk_size`` the next that many, None after the last."""
        import pandas as pd

        native = self._mine()
        kept, self._frame = [] if self._frame is None else [self._frame], None
        if chunk_size is None:
            return pd.concat([*kept, native.df()], ignore_index=True) if kept else native.df()
        missing = chunk_size - sum(map(len, kept))
        while missing > 0 and len(frame := native.fetch_df_chunk(-(-missing // VECTOR))):
            kept.append(frame)
            missing -= len(frame)
        if not kept:
            return None
        found = kept[0] if len(kept) == 1 else pd.concat(kept, ignore_index=True)
        if len(found) > chunk_size:
            self._frame = found.iloc[chunk_size:].reset_index(drop=True)
            found = found.iloc[:chunk_size]
        return found

    def close(self) -> None:
        """Let go of the result."""
        self._batches = self._frame = None
        if self._session.statements == self._statement:
            # DuckDB 2 takes no further statement while a result is half read; before, the next one replaces it
            abort = getattr(self.native_cursor, "abort", None)
            if abort is not None:
                import duckdb

                with suppress(duckdb.Error):
                    abort()
