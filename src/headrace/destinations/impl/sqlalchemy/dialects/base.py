"""A database that nothing is known of but its SQLAlchemy dialect: names, types and tables are written by that."""

from __future__ import annotations

import datetime as dt
import decimal
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.destinations.sql import ddl
from headrace.destinations.sql.dialect import SqlDialect
from headrace.errors.destination import DestinationTerminalException
from headrace.model.capabilities import Capabilities
from headrace.typing import TColumnSchema, TDataType

if TYPE_CHECKING:
    from headrace.destinations.impl.sqlalchemy.session import SqlalchemyClient

_TYPE = re.compile(
    r"(?P<word>[A-Z][A-Z0-9_ ]*?)\s*(?:\((?P<a>\d+|MAX)(?:\s*,\s*(?P<b>-?\d+))?\s*[A-Z]*\))?(?P<rest> .*)?"
)
_WORDS: dict[str, tuple[TDataType, int | None]] = {
    **dict.fromkeys(
        ("TEXT", "VARCHAR", "NVARCHAR", "CHAR", "NCHAR", "CLOB", "NCLOB", "STRING", "VARCHAR2", "NVARCHAR2"),
        ("text", None),
    ),
    **dict.fromkeys(
        ("LONGTEXT", "MEDIUMTEXT", "TINYTEXT", "NTEXT", "CHARACTER VARYING", "ENUM", "UUID"), ("text", None)
    ),
    **dict.fromkeys(("DOUBLE", "DOUBLE PRECISION", "FLOAT", "REAL", "BINARY_DOUBLE", "BINARY_FLOAT"), ("double", None)),
    **dict.fromkeys(("BOOLEAN", "BOOL", "BIT"), ("bool", None)),
    "TINYINT": ("bigint", 8),
    "SMALLINT": ("bigint", 16),
    "MEDIUMINT": ("bigint", 32),
    "INTEGER": ("bigint", 32),
    "INT": ("bigint", 32),
    "BIGINT": ("bigint", None),
    **dict.fromkeys(("DATETIME", "DATETIME2", "TIMESTAMP", "DATETIMEOFFSET", "SMALLDATETIME"), ("timestamp", None)),
    "DATE": ("date", None),
    "TIME": ("time", None),
    **dict.fromkeys(("JSON", "JSONB", "VARIANT", "SUPER"), ("json", None)),
    **dict.fromkeys(
        ("BLOB", "LONGBLOB", "MEDIUMBLOB", "TINYBLOB", "BYTEA", "VARBINARY", "BINARY", "RAW"), ("binary", None)
    ),
    **dict.fromkeys(("LONG RAW", "IMAGE"), ("binary", None)),
    **dict.fromkeys(("NUMERIC", "DECIMAL", "NUMBER"), ("decimal", None)),
}
KEY_HINTS = ("unique", "primary_key", "row_key", "root_key", "parent_key")


class SqlalchemyDialect(SqlDialect):
    """Facts about a database behind SQLAlchemy.

    Args:
        sa_dialect: SQLAlchemy's dialect; of an engine, or made without a driver.
        capabilities: Of the destination.

    Attributes:
        backend: SQLAlchemy's name of it.
        typed_reads: Whether what the driver gives has the types of the columns.
        most_digits: Of a decimal.
    """

    name: ClassVar[str] = "generic"
    row_address: ClassVar[str] = "ctid"
    if_not_exists: ClassVar[bool] = False
    typed_reads: ClassVar[bool] = True
    most_digits: ClassVar[tuple[int, int]] = (38, 38)

    def __init__(self, sa_dialect: Any, capabilities: Capabilities) -> None:
        self.sa, self.capabilities = sa_dialect, capabilities
        self.backend: str = sa_dialect.name
        if type(self).timestamp_type is SqlDialect.timestamp_type:
            self.timestamp_type = self.compiled({"name": "x", "data_type": "timestamp"})  # type: ignore[misc]

    # ---- names and types ------------------------------------------------------------------------------------------

    def quote(self, name: str) -> str:
        """A name as an identifier."""
        preparer = self.sa.identifier_preparer
        quoted = str(preparer.quote_identifier(name))
        # doubled for drivers that take %s for a mark; that is done for the whole statement, where it has marks
        return quoted.replace("%%", "%") if preparer._double_percents else quoted

    def column_type(self, column: TColumnSchema) -> str:
        """The database's type for a column of the schema."""
        return self.compiled(column)

    def compiled(self, column: TColumnSchema) -> str:
        """The type as SQLAlchemy writes it; text where the database has no such type."""
        import sqlalchemy as sa

        try:
            return str(self.sa_type(column).compile(self.sa))
        except sa.exc.CompileError:
            if column.get("data_type") not in ("json", "time"):
                raise
            length = 16 if column["data_type"] == "time" else None
            return self.compiled({"name": column["name"], "data_type": "text", "precision": length})

    def sa_type(self, column: TColumnSchema) -> Any:
        """SQLAlchemy's type for a column of the schema.

        Raises:
            DestinationTerminalException: There is none.
        """
        import sqlalchemy as sa

        kind, precision = column.get("data_type"), column.get("precision")
        plain = {
            "double": sa.Double,
            "bool": sa.Boolean,
            "date": sa.Date,
            "time": sa.Time,
            "json": sa.JSON,
            "binary": sa.LargeBinary,
        }
        if kind in plain:
            return plain[str(kind)]()
        if kind == "text":
            length = precision or (self.key_length(column) if self.is_key(column) else None)
            return sa.String(length) if length else self.long_text()
        if kind == "bigint":
            return self._integer(column, precision)
        if kind == "timestamp":
            return sa.DateTime(timezone=column.get("timezone") is not False)
        if kind in ("decimal", "wei"):
            return self._decimal(column, kind == "wei")
        raise DestinationTerminalException(
            f"Column `{column.get('name')}` has the data type {kind!r}, which tables cannot hold.",
            fix="declare one of the known data types in `columns` of the resource",
        )

    def is_key(self, column: TColumnSchema) -> bool:
        """Whether a text column needs a length because an index may be made of it."""
        return bool(column.get("unique"))

    def key_length(self, column: TColumnSchema) -> int:
        """The length of such a column."""
        return 128

    def long_text(self) -> Any:
        """The type of text of any length."""
        import sqlalchemy as sa

        return sa.Text()

    def _integer(self, column: TColumnSchema, bits: int | None) -> Any:
        import sqlalchemy as sa

        if bits is not None and bits > 64:
            return sa.Numeric(min(39, self.most_digits[0]), 0)
        if bits is None or bits > 32:
            return sa.BigInteger()
        return sa.SmallInteger() if bits <= 16 else sa.Integer()

    def _decimal(self, column: TColumnSchema, is_wei: bool) -> Any:
        import sqlalchemy as sa

        default = self.capabilities.wei_precision if is_wei else self.capabilities.decimal_precision
        precision, scale = column.get("precision"), column.get("scale")
        if precision is None:
            precision, default_scale = default
            scale = default_scale if scale is None else scale
        if precision > self.most_digits[0] or (scale or 0) > self.most_digits[1]:
            raise DestinationTerminalException(
                f"Column `{column.get('name')}` is declared as a decimal of {precision} digits, {scale or 0} of them "
                f"after the point; {self.backend} holds at most {self.most_digits[0]} and {self.most_digits[1]}.",
                fix="declare a smaller `precision` and `scale`, or `data_type` text, in `columns` of the resource",
            )
        return sa.Numeric(precision, scale or 0)

    def column_facts(self, name: str, db_type: str, nullable: bool) -> TColumnSchema:
        """A column as the schema would describe it, from the database's name of its type."""
        facts: dict[str, Any] = {"name": name, "nullable": nullable, "data_type": "text"}
        match = _TYPE.fullmatch(db_type.strip().upper())
        if match is None:
            return facts  # type: ignore[return-value]
        kind, bits = _WORDS.get(match["word"], ("text", None))
        facts["data_type"] = kind
        self._sizes(facts, match, bits)
        return facts  # type: ignore[return-value]

    def _sizes(self, facts: dict[str, Any], match: re.Match[str], bits: int | None) -> None:
        first = int(match["a"]) if match["a"] and match["a"].isdigit() else None
        if facts["data_type"] == "bigint" and bits is not None:
            facts["precision"] = bits
        elif facts["data_type"] == "text" and first is not None:
            facts["precision"] = first
        elif facts["data_type"] == "timestamp":
            self._timestamp_facts(facts, first, match["rest"] or "", match["word"])
        elif facts["data_type"] == "decimal" and first is not None:
            facts.update(self._decimal_facts(first, int(match["b"] or 0)))

    def _timestamp_facts(self, facts: dict[str, Any], digits: int | None, rest: str, word: str) -> None:
        zoned = "WITH TIME ZONE" in f"{word} {rest}".replace("WITHOUT TIME ZONE", "") or word == "DATETIMEOFFSET"
        if not zoned:
            facts["timezone"] = False

    def _decimal_facts(self, precision: int, scale: int) -> dict[str, Any]:
        if (precision, scale) == self.capabilities.wei_precision:
            return {"data_type": "wei"}
        if (precision, scale) == self.capabilities.decimal_precision:
            return {"data_type": "decimal"}
        return {"data_type": "decimal", "precision": precision, "scale": scale}

    # ---- tables ---------------------------------------------------------------------------------------------------

    def create_table(
        self,
        table: str,
        columns: Mapping[str, TColumnSchema],
        *,
        unique: bool,
        primary: bool,
        comment: str | None = None,
    ) -> str:
        """CREATE TABLE; a primary key is made of the columns with that hint."""
        known = [c for c in columns.values() if ddl.is_complete(c)]
        clauses = [self.column_clause(column, unique=unique) for column in known]
        key = [column["name"] for column in known if column.get("primary_key")] if primary else []
        if key:
            clauses.append(f"PRIMARY KEY ({self.columns(key)})")
        lead = "CREATE TABLE IF NOT EXISTS" if self.if_not_exists else "CREATE TABLE"
        return f"{lead} {table} (\n  " + ",\n  ".join(clauses) + "\n)" + self.table_options(comment)

    def column_clause(self, column: TColumnSchema, *, unique: bool = False, added: bool = False) -> str:
        """One column of a CREATE or ALTER TABLE."""
        return ddl.column_clause(self, column, unique=unique, added=added)

    def table_options(self, comment: str | None) -> str:
        """What stands behind the columns of a CREATE TABLE."""
        return ""

    def add_column(self, table: str, column: TColumnSchema) -> str:
        """Add a column that is missing."""
        return f"ALTER TABLE {table} ADD COLUMN {self.column_clause(column, added=True)}"

    def storage_class(self, column: TColumnSchema) -> str:
        """The type as far as it makes a difference: columns of one storage class hold the same values."""
        return self.column_type(column)

    def final(self, sql: str) -> str:
        """A statement of ours as this database wants it."""
        return sql

    # ---- sessions -------------------------------------------------------------------------------------------------

    def session_settings(self) -> list[str]:
        """Statements that every session starts with."""
        return []

    def bind(self, value: Any) -> Any:
        """A value of ours as the driver takes it."""
        return value

    def bulk(self) -> Any:
        """The module with this database's way to insert Arrow batches."""
        from headrace.destinations.impl.sqlalchemy.bulk import generic

        return generic

    def describe(
        self, session: SqlalchemyClient, tables: Sequence[str] | None
    ) -> dict[str, list[tuple[str, str, bool]]]:
        """Columns of tables that exist: name, type, nullable."""
        import sqlalchemy as sa

        inspector = sa.inspect(session.native_connection)
        found = {}
        there = inspector.get_table_names(schema=session.dataset_name)
        for table in there if tables is None else tables:
            if table in there:
                columns = inspector.get_columns(table, schema=session.dataset_name)
                found[table] = [(str(c["name"]), self._told(c["type"]), bool(c["nullable"])) for c in columns]
        return found

    def _told(self, kind: Any) -> str:
        import sqlalchemy as sa

        try:
            return str(kind.compile(self.sa))
        except sa.exc.CompileError:
            return str(kind)

    def to_instant(self, value: Any) -> dt.datetime | None:
        """An instant from what the database gave; text is ISO in UTC."""
        return super().to_instant(dt.datetime.fromisoformat(value) if isinstance(value, str) else value)

    def literal(self, value: Any) -> str:
        """A literal of a plain value."""
        return str(value) if isinstance(value, decimal.Decimal) else super().literal(value)
