"""A schema's names under a naming convention: of system tables, of tables and columns that users declare."""

from __future__ import annotations

import logging
from typing import Any, cast

from headrace.errors.schema import NormalizersException, SchemaCorruptedException
from headrace.model.naming import NamingConvention
from headrace.model.tables import (
    DLT_NAME_PREFIX,
    LOADS_TABLE_NAME,
    PIPELINE_STATE_TABLE_NAME,
    VERSION_TABLE_NAME,
    merge_column,
)
from headrace.typing import TTableSchema, TTableSchemaColumns

logger = logging.getLogger("headrace")
_MAX_REMEMBERED = 100_000


class SchemaNames:
    """Names as a convention spells them, each worked out once.

    Args:
        schema_name: For errors.
        naming: The convention.
        break_path: Whether a column's name is a path, so that ``a__b`` is made of two identifiers.

    Raises:
        SchemaCorruptedException: The convention would take the common prefix from the system tables.
    """

    def __init__(self, schema_name: str, naming: NamingConvention, break_path: bool) -> None:
        self.schema_name, self.naming, self.break_path = schema_name, naming, break_path
        self.version_table = naming.normalize_table_identifier(VERSION_TABLE_NAME)
        self.loads_table = naming.normalize_table_identifier(LOADS_TABLE_NAME)
        self.state_table = naming.normalize_table_identifier(PIPELINE_STATE_TABLE_NAME)
        self.prefix = naming.normalize_table_identifier(DLT_NAME_PREFIX)
        for name in (self.version_table, self.loads_table, self.state_table):
            if not name.startswith(self.prefix):
                raise SchemaCorruptedException(
                    schema_name,
                    f"the naming convention `{naming.name()}` turns `{DLT_NAME_PREFIX}` into `{self.prefix}`, but a "
                    f"system table into `{name}`.",
                    why="system tables are recognised by the prefix",
                    fix="choose another convention in `schema.naming`",
                )
        self._columns: dict[str, str] = {}
        self._tables: dict[str, str] = {}

    def column(self, name: str) -> str:
        """A column's name."""
        known = self._columns.get(name)
        if known is None:
            spell = self.naming.normalize_path if self.break_path else self.naming.normalize_identifier
            known = self._remember(self._columns, name, spell(name))
        return known

    def table(self, path: str) -> str:
        """A table's name; ``a__b`` is the table ``b`` nested in ``a``."""
        known = self._tables.get(path)
        if known is None:
            known = self._remember(self._tables, path, self.naming.normalize_tables_path(path))
        return known

    def _remember(self, known: dict[str, str], name: str, spelled: str) -> str:
        if not spelled:
            raise NormalizersException(
                f"Schema `{self.schema_name}`: nothing is left of the name {name!r} by the naming convention.",
                fix="give the table or column a name with a letter or a digit",
            )
        if len(known) >= _MAX_REMEMBERED:
            known.clear()
        known[name] = spelled
        return spelled

    def normalized(self, table: TTableSchema) -> TTableSchema:
        """The table with all its identifiers spelled by the convention; columns that become one are merged."""
        spelled = cast("dict[str, Any]", {**table, "name": self.table(table["name"])})
        if table.get("parent"):
            spelled["parent"] = self.table(table["parent"])
        if "columns" in table:
            spelled["columns"] = self._columns_of(spelled["name"], table["columns"])
        if table.get("references"):
            spelled["references"] = [
                {
                    **reference,
                    "referenced_table": self.table(reference["referenced_table"]),
                    "columns": list(map(self.column, reference["columns"])),
                    "referenced_columns": list(map(self.column, reference["referenced_columns"])),
                }
                for reference in table["references"]
            ]
        return cast(TTableSchema, spelled)

    def _columns_of(self, table_name: str, columns: TTableSchemaColumns) -> TTableSchemaColumns:
        spelled: TTableSchemaColumns = {}
        for given, column in columns.items():
            name = self.column(given)
            if column.get("name") != name:
                column = {**column, "name": name}
            if name in spelled:
                logger.warning(
                    "table %s: column %s gets the name %s, which another column has; the two are merged",
                    *(table_name, given, name),
                )
                column = merge_column(spelled[name], column, merge_defaults=False)
            spelled[name] = column
        return spelled
