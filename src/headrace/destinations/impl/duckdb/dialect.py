"""DuckDB's SQL."""

from __future__ import annotations

import datetime as dt
import re
from typing import Any

from headrace.destinations.sql.dialect import SqlDialect
from headrace.errors.outcome import DestinationTerminalException
from headrace.typing import TColumnSchema, TDataType

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.timezone.utc)
_PLAIN = {
    "text": "VARCHAR",
    "double": "DOUBLE",
    "bool": "BOOLEAN",
    "date": "DATE",
    "time": "TIME",
    "binary": "BLOB",
    "json": "JSON",
}
_BACK: dict[str, tuple[TDataType, int | None]] = {
    "VARCHAR": ("text", None),
    "DOUBLE": ("double", None),
    "FLOAT": ("double", None),
    "BOOLEAN": ("bool", None),
    "DATE": ("date", None),
    "TIME": ("time", None),
    "TIME_NS": ("time", None),
    "BLOB": ("binary", None),
    "JSON": ("json", None),
    "TINYINT": ("bigint", 8),
    "SMALLINT": ("bigint", 16),
    "INTEGER": ("bigint", 32),
    "BIGINT": ("bigint", None),
    "HUGEINT": ("bigint", 128),
    "UTINYINT": ("bigint", 8),
    "USMALLINT": ("bigint", 16),
    "UINTEGER": ("bigint", 32),
    "UBIGINT": ("bigint", 64),
    "UHUGEINT": ("bigint", 128),
    "TIMESTAMP WITH TIME ZONE": ("timestamp", None),
    "TIMESTAMP": ("timestamp", None),
    "TIMESTAMP_S": ("timestamp", 0),
    "TIMESTAMP_MS": ("timestamp", 3),
    "TIMESTAMP_NS": ("timestamp", 9),
}
_NAIVE = {"TIMESTAMP", "TIMESTAMP_S", "TIMESTAMP_MS", "TIMESTAMP_NS"}
_DECIMAL = re.compile(r"DECIMAL\((\d+),\s*(\d+)\)")
_INTEGERS = ((8, "TINYINT"), (16, "SMALLINT"), (32, "INTEGER"), (64, "BIGINT"), (128, "HUGEINT"))


class DuckDbDialect(SqlDialect):
    """Facts about DuckDB.

    Args:
        decimal_precision: (precision, scale) of decimals that declare none.
        wei_precision: The same for wei.
    """

    name = "duckdb"
    row_address = "rowid"
    # SET NOT NULL still sees rows that the transaction has deleted, DROP COLUMN fails when it commits (DuckDB 1.5)
    alters_after_changes = False

    def __init__(self, decimal_precision: tuple[int, int] = (38, 9), wei_precision: tuple[int, int] = (38, 0)) -> None:
        self.decimal_precision, self.wei_precision = decimal_precision, wei_precision

    def column_type(self, column: TColumnSchema) -> str:
        """DuckDB's type for a column of the schema."""
        kind, precision = column.get("data_type"), column.get("precision")
        if kind in _PLAIN:
            return _PLAIN[kind]
        if kind == "bigint":
            return self._integer(column, precision)
        if kind == "timestamp":
            return _timestamp_type(column, precision)
        if kind in ("decimal", "wei"):
            whole, digits = self.decimal_precision if kind == "decimal" else self.wei_precision
            scale = column.get("scale")
            return f"DECIMAL({precision or whole},{digits if scale is None else scale})"
        raise DestinationTerminalException(
            f"Column `{column.get('name')}` has the data type {kind!r}, which DuckDB tables cannot hold.",
            fix="declare one of the known data types in `columns` of the resource",
        )

    def _integer(self, column: TColumnSchema, precision: int | None) -> str:
        if precision is None:
            return "BIGINT"
        for bits, name in _INTEGERS:
            if precision <= bits:
                return name
        raise DestinationTerminalException(
            f"Column `{column.get('name')}` is declared as an integer of {precision} bits; DuckDB holds at most 128.",
            fix="declare `data_type` decimal or text for it",
        )

    def instant(self, expression: str) -> str:
        """Microseconds since 1970: fetching an instant would import pytz."""
        return f"epoch_us({expression})"

    def to_instant(self, value: Any) -> dt.datetime | None:
        """Undo `instant`."""
        return None if value is None else _EPOCH + dt.timedelta(microseconds=int(value))

    def column_facts(self, name: str, db_type: str, nullable: bool) -> TColumnSchema:
        """A column as the schema would describe it, from DuckDB's name of its type."""
        facts: dict[str, Any] = {"name": name, "nullable": nullable}
        kind, precision = _BACK.get(db_type, (None, None))
        if kind is not None:
            facts["data_type"] = kind
            if precision is not None:
                facts["precision"] = precision
            if db_type in _NAIVE:
                facts["timezone"] = False
        elif match := _DECIMAL.fullmatch(db_type):
            facts.update(self._decimal(int(match[1]), int(match[2])))
        else:
            # a column of the user's own in a type no schema asks for: lists, structs, enums; text comes nearest
            facts["data_type"] = "json" if db_type.endswith("]") or db_type.startswith(("STRUCT", "MAP")) else "text"
        return facts  # type: ignore[return-value]

    def _decimal(self, precision: int, scale: int) -> dict[str, Any]:
        if (precision, scale) == self.wei_precision:
            return {"data_type": "wei"}
        if (precision, scale) == self.decimal_precision:
            return {"data_type": "decimal"}
        return {"data_type": "decimal", "precision": precision, "scale": scale}


def _timestamp_type(column: TColumnSchema, precision: int | None) -> str:
    # an aware type exists in microseconds only; precision is honoured where the column is naive
    if column.get("timezone") is not False:
        return "TIMESTAMP WITH TIME ZONE"
    if precision is None or 3 < precision <= 6:
        return "TIMESTAMP"
    if precision == 0:
        return "TIMESTAMP_S"
    return "TIMESTAMP_MS" if precision <= 3 else "TIMESTAMP_NS"
