"""The rows of a relation, in the forms that people read: tuples, data frames, Arrow."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from headrace.dataset.dataset import Dataset

CHUNK_ROWS = 100_000


class Rows:
    """What reads a query. Each method runs it anew; those that iterate hold one chunk at a time.

    A connection is open from the first row to the last, or until the iterator is closed.
    """

    _dataset: Dataset

    @abstractmethod
    def _render(self, session: Any) -> str:
        """The query in the SQL of an open session."""

    @contextmanager
    def _cursor(self) -> Iterator[Any]:
        with self._dataset.session() as session:
            self._expect(session)
            with session.execute_query(self._render(session)) as cursor:
                yield cursor

    @contextmanager
    def _reader(self, chunk_size: int) -> Iterator[pa.RecordBatchReader]:
        with self._dataset.session() as session:
            self._expect(session)
            with session.stream_query(self._render(session), chunk_size) as reader:
                yield reader

    def _expect(self, session: Any) -> None:
        """Tell a session what the columns will be, where its driver does not know it."""

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All rows."""
        with self._cursor() as cursor:
            return list(cursor.fetchall())

    def fetchmany(self, chunk_size: int = 1000) -> list[tuple[Any, ...]]:
        """The first ``chunk_size`` rows."""
        with self._cursor() as cursor:
            return list(cursor.fetchmany(chunk_size))

    def fetchone(self) -> tuple[Any, ...] | None:
        """The first row, None when there is none."""
        with self._cursor() as cursor:
            row: tuple[Any, ...] | None = cursor.fetchone()
            return row

    def fetchscalar(self) -> Any:
        """The only value of the result; None when there is no row.

        Raises:
            ValueError: There is more than one row or column.
        """
        rows = self.fetchmany(2)
        if len(rows) > 1 or (rows and len(rows[0]) != 1):
            shape = "more than one row" if len(rows) > 1 else f"{len(rows[0])} columns"
            raise ValueError(f"a single value was expected, but the result has {shape}")
        return rows[0][0] if rows else None

    def iter_fetch(self, chunk_size: int = 1000) -> Generator[list[tuple[Any, ...]], None, None]:
        """All rows in lists of ``chunk_size``, read as they are asked for."""
        with self._cursor() as cursor:
            while rows := cursor.fetchmany(chunk_size):
                yield rows

    def df(self, chunk_size: int | None = None) -> pd.DataFrame | None:
        """All rows as a data frame; with ``chunk_size`` the first that many, None when there are none."""
        with self._cursor() as cursor:
            frame: pd.DataFrame | None = cursor.df(chunk_size)
            return frame

    def arrow(self, chunk_size: int | None = None) -> pa.Table | None:
        """All rows as an Arrow table; with ``chunk_size`` the first that many, None when there are none."""
        if chunk_size is None:
            with self._reader(CHUNK_ROWS) as reader:
                return reader.read_all()
        tables = self.iter_arrow(chunk_size)
        try:
            return next(tables, None)
        finally:
            tables.close()

    def iter_df(self, chunk_size: int = CHUNK_ROWS) -> Generator[pd.DataFrame, None, None]:
        """All rows in data frames of ``chunk_size`` rows, read as they are asked for."""
        with self._cursor() as cursor:
            yield from cursor.iter_df(chunk_size)

    def iter_arrow(self, chunk_size: int = CHUNK_ROWS) -> Generator[pa.Table, None, None]:
        """All rows in Arrow tables of ``chunk_size`` rows, read as they are asked for."""
        import pyarrow as pa

        with self._reader(chunk_size) as reader:
            for batch in reader:
                yield pa.Table.from_batches([batch])

    def __arrow_c_stream__(self, requested_schema: Any = None) -> Any:
        """All rows as an Arrow stream, for pyarrow, polars, DuckDB and whoever else speaks the PyCapsule interface.

        The specification is https://arrow.apache.org/docs/format/CDataInterface/PyCapsuleInterface.html. The rows are
        read as the consumer asks for them.
        """
        return record_batches(self).__arrow_c_stream__(requested_schema)


def record_batches(rows: Rows, chunk_size: int = CHUNK_ROWS) -> pa.RecordBatchReader:
    """The rows as a reader that holds its connection until the last row was read, or it is dropped."""
    import pyarrow as pa

    batches = _batches(rows, chunk_size)
    schema = next(batches)
    return pa.RecordBatchReader.from_batches(schema, batches)


def _batches(rows: Rows, chunk_size: int) -> Generator[Any, None, None]:
    """First the Arrow schema, then the batches."""
    with rows._reader(chunk_size) as reader:
        yield reader.schema
        yield from reader
