"""The SQL of MySQL and MariaDB."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from headrace.destinations.impl.sqlalchemy.dialects.base import KEY_HINTS, SqlalchemyDialect
from headrace.typing import TColumnSchema

if TYPE_CHECKING:
    from headrace.destinations.impl.sqlalchemy.session import SqlalchemyClient

_INDEXED = 191  # characters of four bytes that fit into the smallest key (767 bytes)
_KEY = 255
_LENGTH = re.compile(r"\((\d+)\)")
ROW = "_hr_row"


class MySqlDialect(SqlalchemyDialect):
    """Facts about MySQL and MariaDB.

    Texts are compared byte by byte: with the usual collations ``a`` and ``A`` would be one key.
    """

    name = "mysql"
    row_address = f"`{ROW}`"
    if_not_exists = True
    null_safe_equal: ClassVar[str] = "<=>"
    timestamp_type: ClassVar[str] = "DATETIME(6)"
    no_table: ClassVar[str] = " FROM DUAL"
    most_digits: ClassVar[tuple[int, int]] = (65, 30)

    @property
    def is_mariadb(self) -> bool:
        """Whether the server is MariaDB; known once there was a connection."""
        return bool(getattr(self.sa, "is_mariadb", False))

    @property
    def collation(self) -> str:
        """Byte by byte, and blanks at the end count."""
        if self.is_mariadb:
            return "utf8mb4_nopad_bin"
        version = getattr(self.sa, "server_version_info", None) or (8, 0, 17)
        return "utf8mb4_0900_bin" if tuple(version) >= (8, 0, 17) else "utf8mb4_bin"

    @property
    def reopens_temp(self) -> bool:  # type: ignore[override]
        """MySQL refuses to read a temporary table twice in a statement (error 1137)."""
        return self.is_mariadb

    # ---- types ----------------------------------------------------------------------------------------------------

    def sa_type(self, column: TColumnSchema) -> Any:
        """SQLAlchemy's type for a column of the schema."""
        from sqlalchemy.dialects import mysql

        kind, precision = column.get("data_type"), column.get("precision")
        if kind in ("timestamp", "time"):
            made = mysql.DATETIME if kind == "timestamp" else mysql.TIME
            return made(fsp=6 if precision is None else min(precision, 6))
        if kind == "binary":
            return mysql.LONGBLOB()
        if kind == "text" and precision is not None and precision > 16383:
            return mysql.LONGTEXT()
        return super().sa_type(column)

    def long_text(self) -> Any:
        """The type of text of any length."""
        from sqlalchemy.dialects import mysql

        return mysql.LONGTEXT()

    def is_key(self, column: TColumnSchema) -> bool:
        """Whether a text column needs a length because an index may be made of it."""
        return any(column.get(hint) for hint in KEY_HINTS)

    def key_length(self, column: TColumnSchema) -> int:
        """The length of such a column: ids of ours are short, keys of the user's may be longer."""
        return _KEY if column.get("primary_key") else 128

    def _sizes(self, facts: dict[str, Any], match: re.Match[str], bits: int | None) -> None:
        if match["word"] == "TINYINT" and match["a"] == "1":
            facts["data_type"] = "bool"
            return
        super()._sizes(facts, match, bits)

    def _timestamp_facts(self, facts: dict[str, Any], digits: int | None, rest: str, word: str) -> None:
        # all instants are in UTC; the zone is the schema's to know
        if digits != 6:
            facts["precision"] = digits or 0

    # ---- statements -----------------------------------------------------------------------------------------------

    def text(self, value: str) -> str:
        """A text literal."""
        return "'" + value.replace("\\", "\\\\").replace("'", "''") + "'"

    def timestamp(self, value: dt.datetime) -> str:
        """A literal of an instant, in UTC."""
        return f"TIMESTAMP'{self.bind(value).isoformat(' ', 'microseconds')}'"

    def bind(self, value: Any) -> Any:
        """A value as the driver takes it: instants without an offset."""
        if isinstance(value, dt.datetime) and value.tzinfo is not None:
            return value.astimezone(dt.timezone.utc).replace(tzinfo=None)
        return value

    def temp_like(self, table: str, columns: Any, source: str) -> str:
        """Make an empty temporary table with the types of some columns of a table, and a column that numbers rows."""
        numbered = f"({self.row_address} BIGINT NOT NULL AUTO_INCREMENT PRIMARY KEY)"
        return f"CREATE TEMPORARY TABLE {table} {numbered} AS SELECT {self.columns(columns)} FROM {source} LIMIT 0"

    def drop_temp(self, table: str) -> str:
        """Drop a temporary table; without the word the transaction would end."""
        return f"DROP TEMPORARY TABLE {table}"

    def keyed_temp(self, create: str, table: str, keys: Sequence[Mapping[str, str]]) -> list[str]:
        """The statement with the indexes in it: a CREATE INDEX would end the transaction."""
        indexes = [f"KEY ({', '.join(self._key_part(name, kind) for name, kind in key.items())})" for key in keys]
        if not indexes:
            return [create]
        head = f"CREATE TEMPORARY TABLE {table} "
        rest = create.removeprefix(head)
        if rest.startswith("("):
            return [f"{head}({', '.join(indexes)}, {rest[1:]}"]
        return [f"{head}({', '.join(indexes)}) {rest}"]

    def _key_part(self, name: str, kind: str) -> str:
        lowered = kind.lower()
        if lowered.endswith(("text", "blob")) or lowered == "json":
            return f"{self.quote(name)}({_INDEXED})"
        length = _LENGTH.search(kind)
        if lowered.startswith(("varchar", "varbinary")) and length and int(length[1]) > _INDEXED:
            return f"{self.quote(name)}({_INDEXED})"
        return self.quote(name)

    def has_row(self, table: str, alias: str, condition: str, stage: str, stage_alias: str) -> str:
        """A predicate of staged rows; MariaDB reads the table once and looks the stage up by its index.

        MySQL has hash joins for it, and would refuse to read the stage twice.
        """
        if not self.is_mariadb:
            return super().has_row(table, alias, condition, stage, stage_alias)
        found = (
            f"SELECT DISTINCT {stage_alias}.{self.row_address} FROM {table} AS {alias} "
            f"STRAIGHT_JOIN {stage} AS {stage_alias} WHERE {condition}"
        )
        return f"{stage_alias}.{self.row_address} IN (SELECT {self.row_address} FROM ({found}) AS _hr_found)"

    def delete(self, table: str, where: str) -> str:
        """Delete the rows ``d`` of a table that meet a condition."""
        return f"DELETE d FROM {table} AS d WHERE {where}"

    def update_from(self, table: str, source: str, sets: Mapping[str, str], where: str) -> str:
        """Set columns of the rows ``d`` of a table to expressions of rows ``s`` of another."""
        clauses = ", ".join(f"d.{self.quote(column)} = {value}" for column, value in sets.items())
        return f"UPDATE {table} AS d JOIN {source} AS s ON {where} SET {clauses}"

    def differs(self, left: str, right: str) -> str:
        """A predicate: two expressions of one type differ; two NULLs do not."""
        return f"NOT ({left} <=> {right})"

    def order(self, expression: str, direction: str) -> str:
        """A term of ORDER BY with NULLs last."""
        return f"{expression} IS NULL, {expression} {direction.upper()}"

    # ---- tables ---------------------------------------------------------------------------------------------------

    def table_options(self, comment: str | None) -> str:
        """Engine, character set and comment."""
        told = f" COMMENT = {self.text(comment)}" if comment else ""
        return f" ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE {self.collation}{told}"

    def column_clause(self, column: TColumnSchema, *, unique: bool = False, added: bool = False) -> str:
        """One column of a CREATE or ALTER TABLE, with its comment."""
        clause = super().column_clause(column, unique=unique, added=added)
        told = column.get("description")
        return f"{clause} COMMENT {self.text(str(told))}" if told else clause

    def widen_column(self, table: str, column: TColumnSchema, present: TColumnSchema) -> list[str]:
        """Give a column another type, which holds all its values."""
        null = " NOT NULL" if present.get("nullable") is False and column.get("nullable") is False else ""
        name = self.quote(present.get("name") or column["name"])
        return [f"ALTER TABLE {table} MODIFY COLUMN {name} {self.column_type(column)}{null}"]

    def drop_not_null(self, table: str, column: TColumnSchema) -> list[str]:
        """Let a column be NULL."""
        return [f"ALTER TABLE {table} MODIFY COLUMN {self.quote(column['name'])} {self.column_type(column)} NULL"]

    def comment_on_table(self, table: str, text: str) -> list[str]:
        """Set a table's comment."""
        return [f"ALTER TABLE {table} COMMENT = {self.text(text)}"]

    def comment_on_column(self, table: str, column: TColumnSchema, text: str) -> list[str]:
        """Comments come with the column's definition: see `column_clause` and the session's `recommented`."""
        return []

    # ---- sessions -------------------------------------------------------------------------------------------------

    def session_settings(self) -> list[str]:
        """Statements that every session starts with: UTC, and no value is cut or changed in silence."""
        return ["SET time_zone = '+00:00'", "SET sql_mode = 'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION'"]

    def bulk(self) -> Any:
        """The module with MySQL's way to insert Arrow batches."""
        from headrace.destinations.impl.sqlalchemy.bulk import mysql

        return mysql

    def describe(
        self, session: SqlalchemyClient, tables: Sequence[str] | None
    ) -> dict[str, list[tuple[str, str, bool]]]:
        """Columns of tables that exist: name, type, nullable. One query."""
        sql = (
            "SELECT table_name, column_name, column_type, is_nullable FROM information_schema.columns "
            "WHERE table_schema = ?"
        )
        if tables is not None:
            sql += f" AND table_name IN ({', '.join(map(self.text, tables)) or 'NULL'})"
        asked = {table.lower(): table for table in tables or ()}
        found: dict[str, list[tuple[str, str, bool]]] = {}
        rows = session.fetch(f"{sql} ORDER BY table_name, ordinal_position", session.dataset_name)
        for table, column, kind, nullable in rows:
            found.setdefault(asked.get(table.lower(), table), []).append((column, str(kind), nullable == "YES"))
        return found
