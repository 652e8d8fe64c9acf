"""Rows of a query, in the types of the columns where these are known."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from headrace.destinations.sql.cursor import SqlCursor
from headrace.model.capabilities import Capabilities
from headrace.typing import TTableSchemaColumns

if TYPE_CHECKING:
    import pyarrow as pa


class SqlalchemyCursor(SqlCursor):
    """Rows of one statement.

    Args:
        result: SQLAlchemy's result.
        capabilities: Of the destination.
        expected: The columns as a schema describes them, where that is known.
    """

    def __init__(self, result: Any, capabilities: Capabilities, expected: TTableSchemaColumns | None = None) -> None:
        super().__init__(result)
        self._capabilities, self._expected = capabilities, expected or {}
        self._types: list[pa.DataType] | None = None

    @property
    def description(self) -> Sequence[Any] | None:
        """Name and type of each column, as DB-API says."""
        if not self.native_cursor.returns_rows:
            return None
        return [(name, None) for name in self.native_cursor.keys()]  # noqa: SIM118 (no dict)

    @property
    def columns_schema(self) -> TTableSchemaColumns:
        """The columns as a schema would describe them."""
        return {name: self._expected.get(name, {"name": name}) for name in self.column_names}

    def _table(self, rows: list[tuple[Any, ...]]) -> pa.Table:
        import pyarrow as pa

        from headrace.columns.coerce import arrow_type

        names = self.column_names
        values = list(zip(*rows, strict=True)) if rows else [()] * len(names)
        if self._types is None:
            known = [self._expected.get(name, {}) for name in names]
            self._types = [
                arrow_type(c, self._capabilities) if c.get("data_type") else _guess(v)
                for c, v in zip(known, values, strict=True)
            ]
        arrays = [to_array(v, kind) for v, kind in zip(values, self._types, strict=True)]
        # names may come twice, as they may in SQL
        return pa.Table.from_arrays(arrays, names=names)

    def typed(self, row: tuple[Any, ...]) -> tuple[Any, ...]:
        """A row in the Python types of its columns."""
        return tuple(
            python_value(value, self._expected.get(name, {}))
            for name, value in zip(self.column_names, row, strict=True)
        )

    def fetchone(self) -> tuple[Any, ...] | None:
        """The next row, None after the last."""
        row = super().fetchone()
        return self.typed(row) if row is not None and self._expected else row

    def fetchmany(self, chunk_size: int = 1000) -> list[tuple[Any, ...]]:
        """The next ``chunk_size`` rows; empty after the last."""
        rows = super().fetchmany(chunk_size)
        return list(map(self.typed, rows)) if self._expected else rows

    def fetchall(self) -> list[tuple[Any, ...]]:
        """All remaining rows."""
        rows = super().fetchall()
        return list(map(self.typed, rows)) if self._expected else rows

    def arrow(self, chunk_size: int | None = None) -> pa.Table | None:
        """All remaining rows as an Arrow table; with ``chunk_size`` the next that many, None after the last."""
        if chunk_size is None:
            return self._table(SqlCursor.fetchall(self))
        rows = SqlCursor.fetchmany(self, chunk_size)
        return self._table(rows) if rows else None

    def empty(self) -> pa.Table:
        """No rows, in the types of the columns."""
        return self._table([])


def _guess(values: Sequence[Any]) -> pa.DataType:
    """The type of the values of a column that nothing is known of; text where they are of several kinds."""
    import pyarrow as pa

    try:
        found = pa.array([v for v in values if v is not None]).type
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return pa.string()
    if pa.types.is_decimal(found):
        return pa.decimal128(38, found.scale) if found.precision <= 38 else pa.decimal256(76, found.scale)
    return pa.string() if pa.types.is_null(found) else found


def to_array(values: Sequence[Any], kind: pa.DataType) -> pa.Array:
    """Values as the driver gave them, in an Arrow type."""
    import pyarrow as pa

    column = {
        pa.types.is_timestamp: "timestamp",
        pa.types.is_date: "date",
        pa.types.is_time: "time",
        pa.types.is_decimal: "decimal",
        pa.types.is_boolean: "bool",
        pa.types.is_string: "text",
        pa.types.is_floating: "double",
        pa.types.is_integer: "bigint",
    }
    name = next((name for test, name in column.items() if test(kind)), "binary")
    facts: dict[str, Any] = {"data_type": name}
    if name == "timestamp":
        facts["timezone"] = kind.tz is not None
    if name == "decimal":
        facts.update(precision=kind.precision, scale=kind.scale)
    try:
        return pa.array(values, kind)
    except (pa.ArrowInvalid, pa.ArrowTypeError, TypeError):
        return pa.array([python_value(value, facts) for value in values], kind)


def python_value(value: Any, column: Mapping[str, Any]) -> Any:
    """A value in the Python type of its column; as it is where nothing is known of the column."""
    kind = column.get("data_type")
    if value is None or kind is None:
        return value
    if isinstance(value, str) and kind in ("timestamp", "date", "time"):
        return _from_text(value, column)
    if kind == "timestamp" and isinstance(value, dt.datetime):
        return _zoned(value, column)
    if kind == "time" and isinstance(value, dt.timedelta):
        return (dt.datetime(2000, 1, 1) + value).time()
    if kind == "bool":
        return bool(value)
    if kind in ("decimal", "wei"):
        return _decimal(value, column)
    if kind == "double" and not isinstance(value, str):
        return float(value)
    if kind in ("text", "json") and not isinstance(value, str):
        from headrace.base import json

        return value.decode() if isinstance(value, bytes) else json.dumps(value)
    if kind == "binary" and isinstance(value, (bytearray, memoryview)):
        return bytes(value)
    return int(value) if kind == "bigint" else value


def _zoned(value: dt.datetime, column: Mapping[str, Any]) -> dt.datetime:
    if column.get("timezone") is False:
        return value.replace(tzinfo=None)
    return value.replace(tzinfo=dt.timezone.utc) if value.tzinfo is None else value


def _from_text(value: str, column: Mapping[str, Any]) -> Any:
    if column["data_type"] == "time":
        return dt.time.fromisoformat(value)
    if column["data_type"] == "date":
        return dt.date.fromisoformat(value[:10])
    return _zoned(dt.datetime.fromisoformat(value.replace("Z", "+00:00")), column)


def _decimal(value: Any, column: Mapping[str, Any]) -> Any:
    import decimal

    made = value if isinstance(value, decimal.Decimal) else decimal.Decimal(str(value))
    scale = column.get("scale", 0 if column["data_type"] == "wei" else 9)
    with decimal.localcontext(decimal.Context(prec=80)):
        try:
            return made.quantize(decimal.Decimal(1).scaleb(-int(scale or 0)))
        except decimal.InvalidOperation:
            return made
