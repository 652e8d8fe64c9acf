"""Rows of a query in PostgreSQL, with Arrow types made of its own."""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from headrace.destinations.impl.postgres.dialect import PostgresDialect
from headrace.destinations.sql.cursor import SqlCursor
from headrace.errors.destination import DestinationTerminalException
from headrace.typing import TTableSchemaColumns

if TYPE_CHECKING:
    import pyarrow as pa

_ROUND_DIGITS = (76, 38)
"""Of ``numeric`` without limits, which sums and averages are: as much as Arrow holds, half of it behind the point."""
_EXACT = decimal.Context(prec=1000, traps=[decimal.Inexact, decimal.InvalidOperation])


def _arrow_types() -> dict[int, Any]:
    """Arrow types by the number of PostgreSQL's type; all others are read as text."""
    import pyarrow as pa

    return {
        16: pa.bool_(),
        17: pa.binary(),
        20: pa.int64(),
        21: pa.int16(),
        23: pa.int32(),
        26: pa.int64(),
        700: pa.float32(),
        701: pa.float64(),
        1082: pa.date32(),
        1083: pa.time64("us"),
        1114: pa.timestamp("us"),
        1184: pa.timestamp("us", "UTC"),
    }


_NUMERIC = 1700
_JSON = (114, 3802)
_NAMES = {
    16: "boolean",
    17: "bytea",
    20: "bigint",
    21: "smallint",
    23: "integer",
    700: "real",
    701: "double precision",
    1082: "date",
    1083: "time without time zone",
    1114: "timestamp without time zone",
    1184: "timestamp with time zone",
    114: "json",
    3802: "jsonb",
    25: "text",
    1043: "character varying",
}


def arrow_schema(description: Any) -> pa.Schema:
    """The Arrow schema of a result."""
    import pyarrow as pa

    known = _arrow_types()

    def kind(column: Any) -> pa.DataType:
        if column.type_code != _NUMERIC:
            return known.get(column.type_code, pa.string())
        precision, scale = (column.precision, column.scale) if column.precision else _ROUND_DIGITS
        return pa.decimal128(precision, scale) if precision <= 38 else pa.decimal256(min(precision, 76), min(scale, 38))

    return pa.schema([(column.name, kind(column)) for column in description or ()])


def to_batch(schema: pa.Schema, description: Any, rows: list[tuple[Any, ...]]) -> pa.RecordBatch:
    """Rows as an Arrow batch.

    Raises:
        DestinationTerminalException: A number has more digits than Arrow holds.
    """
    import pyarrow as pa

    columns = list(zip(*rows, strict=True)) if rows else [()] * len(schema)
    arrays = []
    for field, column, values in zip(schema, description, columns, strict=True):
        if pa.types.is_string(field.type):
            values = tuple(_text(value, column.type_code) for value in values)
        elif pa.types.is_decimal256(field.type):
            values = tuple(_rounded(value, field.type.scale) for value in values)
        try:
            arrays.append(pa.array(values, field.type))
        except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
            raise DestinationTerminalException(
                f"Column `{field.name}` of the result does not fit into Arrow's {field.type}.",
                why=str(error),
                fix="cast it in the query: `CAST(… AS numeric(38, 9))`, or `CAST(… AS text)`",
            ) from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _rounded(value: Any, scale: int) -> Any:
    """A number without the zeros that Arrow has no room for; as it is where other digits stand there.

    ``wei`` is ``numeric(156,78)``: each number comes with 78 digits behind the point.
    """
    if value is None or not value.is_finite() or value.as_tuple().exponent >= -scale:
        return value
    try:
        return value.quantize(decimal.Decimal(1).scaleb(-scale), context=_EXACT)
    except (decimal.Inexact, decimal.InvalidOperation):
        return value


def _text(value: Any, kind: int) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if kind in _JSON or isinstance(value, (list, dict)):
        from headrace.base import json

        return json.dumps(value)
    return str(value)


class PostgresCursor(SqlCursor):
    """Rows of one statement."""

    def __init__(self, native: Any) -> None:
        super().__init__(native)

    @property
    def columns_schema(self) -> TTableSchemaColumns:
        """The columns as a schema would describe them."""
        dialect = PostgresDialect()

        def name(column: Any) -> str:
            if column.type_code == _NUMERIC and column.precision:
                return f"numeric({column.precision},{column.scale})"
            return "numeric" if column.type_code == _NUMERIC else _NAMES.get(column.type_code, "text")

        return {c.name: dialect.column_facts(c.name, name(c), True) for c in self.native_cursor.description or ()}

    def _table(self, rows: list[tuple[Any, ...]]) -> pa.Table:
        import pyarrow as pa

        schema = arrow_schema(self.native_cursor.description)
        return pa.Table.from_batches([to_batch(schema, self.native_cursor.description, rows)])


@contextmanager
def stream(connection: Any, name: str, sql: str, chunk_size: int) -> Iterator[pa.RecordBatchReader]:
    """Rows of a query as Arrow batches, fetched as they are asked for inside ``with``.

    Args:
        connection: psycopg's, in a transaction.
        name: Of a cursor at the server.
        sql: The query.
        chunk_size: Rows of a batch.
    """
    import psycopg
    import pyarrow as pa

    with psycopg.ServerCursor(connection, name) as cursor:
        cursor.execute(sql.encode(), binary=True)
        schema = arrow_schema(cursor.description)

        def batches() -> Iterator[pa.RecordBatch]:
            while rows := cursor.fetchmany(chunk_size):
                yield to_batch(schema, cursor.description, rows)

        yield pa.RecordBatchReader.from_batches(schema, batches())
