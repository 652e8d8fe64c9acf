"""PostgreSQL's SQL."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from headrace.destinations.sql.dialect import SqlDialect
from headrace.errors.destination import DestinationTerminalException, IdentifierTooLongException
from headrace.typing import TColumnSchema, TDataType

MAX_NAME_BYTES = 63
_PLAIN = {
    "double": "double precision",
    "bool": "boolean",
    "date": "date",
    "binary": "bytea",
    "json": "jsonb",
}
_BACK: dict[str, tuple[TDataType, int | None]] = {
    "character varying": ("text", None),
    "text": ("text", None),
    "character": ("text", None),
    "double precision": ("double", None),
    "real": ("double", None),
    "boolean": ("bool", None),
    "date": ("date", None),
    "bytea": ("binary", None),
    "jsonb": ("json", None),
    "json": ("json", None),
    "smallint": ("bigint", 16),
    "integer": ("bigint", 32),
    "bigint": ("bigint", None),
    "time without time zone": ("time", None),
    "timestamp without time zone": ("timestamp", None),
    "timestamp with time zone": ("timestamp", None),
}
_INTEGERS = ((16, "smallint"), (32, "integer"), (64, "bigint"))
_SIZED = re.compile(r"(?P<name>[a-z ]+?)\((?P<size>\d+)(?:,(?P<scale>-?\d+))?\)(?P<rest>[a-z ]*)")
_ANY_NUMBER = (2000, 1000)
"""What is said of ``numeric`` without limits: more than anyone asks for."""


class PostgresDialect(SqlDialect):
    """Facts about PostgreSQL.

    Args:
        decimal_precision: (precision, scale) of decimals that declare none.
        wei_precision: The same for wei.
    """

    name = "postgres"
    row_address = "ctid"
    timestamp_type = "timestamp with time zone"
    adds_unique = True

    def __init__(
        self, decimal_precision: tuple[int, int] = (38, 9), wei_precision: tuple[int, int] = (156, 78)
    ) -> None:
        self.decimal_precision, self.wei_precision = decimal_precision, wei_precision

    # ---- names ------------------------------------------------------------------------------------------------------

    def quote(self, name: str) -> str:
        """A name as an identifier.

        Raises:
            IdentifierTooLongException: PostgreSQL would cut it, and with it the difference to other names.
        """
        if len(name) > 15 and len(name.encode()) > MAX_NAME_BYTES:
            error = IdentifierTooLongException("PostgreSQL", "table or column", name, MAX_NAME_BYTES)
            error.why = f"PostgreSQL counts bytes, and this are {len(name.encode())} in UTF-8"
            raise error
        return '"' + name.replace('"', '""') + '"'

    # ---- types ------------------------------------------------------------------------------------------------------

    def column_type(self, column: TColumnSchema) -> str:
        """PostgreSQL's type for a column of the schema."""
        kind, precision = column.get("data_type"), column.get("precision")
        if kind in _PLAIN:
            return _PLAIN[kind]
        if kind == "text":
            return "varchar" if precision is None else f"varchar({precision})"
        if kind == "bigint":
            return self._integer(column, precision)
        if kind == "timestamp":
            zone = "without" if column.get("timezone") is False else "with"
            return f"timestamp{_digits(precision)} {zone} time zone"
        if kind == "time":
            return f"time{_digits(precision)} without time zone"
        if kind in ("decimal", "wei"):
            whole, digits = self.decimal_precision if kind == "decimal" else self.wei_precision
            if precision is not None:
                whole, digits = precision, column.get("scale") or 0
            return f"numeric({whole},{digits})"
        raise DestinationTerminalException(
            f"Column `{column.get('name')}` has the data type {kind!r}, which PostgreSQL tables cannot hold.",
            fix="declare one of the known data types in `columns` of the resource",
        )

    def _integer(self, column: TColumnSchema, precision: int | None) -> str:
        for bits, name in _INTEGERS:
            if (precision or 64) <= bits:
                return name
        raise DestinationTerminalException(
            f"Column `{column.get('name')}` is declared as an integer of {precision} bits; PostgreSQL holds 64.",
            fix="declare `data_type` decimal (with `precision` and `scale` 0), wei or text for it",
        )

    def column_facts(self, name: str, db_type: str, nullable: bool) -> TColumnSchema:
        """A column as the schema would describe it, from what ``format_type`` says of its type."""
        facts: dict[str, Any] = {"name": name, "nullable": nullable}
        plain, sizes = _taken_apart(db_type)
        if plain == "numeric":
            facts.update(self._decimal(*(sizes or _ANY_NUMBER)))
        elif plain in _BACK:
            facts["data_type"], precision = _BACK[plain]
            if sizes:
                precision = sizes[0]
            if precision is not None:
                facts["precision"] = precision
            if plain == "timestamp without time zone":
                facts["timezone"] = False
        else:
            # a column of the user's own in a type no schema asks for: arrays, enums, ranges; text comes nearest
            facts["data_type"] = "json" if db_type.endswith("[]") else "text"
        return facts  # type: ignore[return-value]

    def _decimal(self, precision: int, scale: int) -> dict[str, Any]:
        if (precision, scale) == self.wei_precision:
            return {"data_type": "wei"}
        if (precision, scale) == self.decimal_precision:
            return {"data_type": "decimal"}
        return {"data_type": "decimal", "precision": precision, "scale": scale}

    # ---- statements -------------------------------------------------------------------------------------------------

    def temp_like(self, table: str, columns: Iterable[str], source: str) -> str:
        """Make an empty temporary table with the types of some columns of a table; it is gone with the transaction."""
        return self.temp_as(table, f"SELECT {self.columns(columns)} FROM {source} LIMIT 0")

    def temp_as(self, table: str, query: str) -> str:
        """Make a temporary table of a query's rows; it is gone with the transaction."""
        return f"CREATE TEMPORARY TABLE {table} ON COMMIT DROP AS {query}"

    def equal(self, left: str, right: str, nullable: bool = False) -> str:
        """A predicate that an index or a hash join can serve; two NULLs are equal where there may be any."""
        # for IS NOT DISTINCT FROM there is no hash join; arrays with NULLs are compared as one expects, and hashed
        return f"ARRAY[{left}] = ARRAY[{right}]" if nullable else f"{left} = {right}"

    def truncate_table(self, table: str) -> str:
        """Empty a table at once, without a trace of the rows."""
        return f"TRUNCATE TABLE {table}"


def _digits(precision: int | None) -> str:
    """Digits of seconds where they are not the default, at most the six that there are."""
    return "" if precision is None or precision >= 6 else f"({precision})"


def _taken_apart(db_type: str) -> tuple[str, tuple[int, ...]]:
    """``timestamp(3) with time zone`` as its name and the sizes in it."""
    match = _SIZED.fullmatch(db_type)
    if match is None:
        return db_type, ()
    sizes = [int(match["size"]), *([int(match["scale"])] if match["scale"] is not None else [])]
    return match["name"] + match["rest"], tuple(sizes)
