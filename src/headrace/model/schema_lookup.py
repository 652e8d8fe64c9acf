"""The part of `Schema` that answers questions and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, cast

from headrace.model import tables as tb
from headrace.model.naming import NamingConvention
from headrace.model.references import references_of
from headrace.model.schema_naming import SchemaNames
from headrace.model.schema_settings import ColumnSettings
from headrace.typing import (
    TColumnSchema,
    TDataType,
    TSchemaTables,
    TTableReference,
    TTableSchema,
    TTableSchemaColumns,
    TWriteDisposition,
)


class SchemaLookup:
    """Names, tables, columns and hints of a schema."""

    _name: str
    _tables: TSchemaTables
    _settings: dict[str, Any]
    _normalizers: dict[str, Any]
    _names: SchemaNames
    _column_settings: ColumnSettings

    @property
    def name(self) -> str:
        """The schema's name, which is its source's."""
        return self._name

    @property
    def tables(self) -> TSchemaTables:
        """All tables by name: the live dictionaries."""
        return self._tables

    @property
    def settings(self) -> dict[str, Any]:
        """Detections, default hints, preferred types and contract: the live dictionary."""
        return self._settings

    @property
    def normalizers(self) -> dict[str, Any]:
        """Which naming convention and which normalizer of documents the schema uses, with their settings."""
        return self._normalizers

    @property
    def naming(self) -> NamingConvention:
        """The naming convention."""
        return self._names.naming

    @property
    def dlt_prefix(self) -> str:
        """What the names of system tables begin with."""
        return self._names.prefix

    @property
    def version_table_name(self) -> str:
        """``_dlt_version`` as the convention spells it."""
        return self._names.version_table

    @property
    def loads_table_name(self) -> str:
        """``_dlt_loads`` as the convention spells it."""
        return self._names.loads_table

    @property
    def state_table_name(self) -> str:
        """``_dlt_pipeline_state`` as the convention spells it."""
        return self._names.state_table

    def normalize_table_name(self, path: str) -> str:
        """A table's name by the convention; ``a__b`` is the table ``b`` nested in ``a``."""
        return self._names.table(path)

    def normalize_column_name(self, name: str) -> str:
        """A column's name by the convention."""
        return self._names.column(name)

    # ---- tables ------------------------------------------------------------------------------------------------------

    def get_table(self, table_name: str) -> TTableSchema:
        """A table by name: the live dictionary.

        Raises:
            TableNotFound: There is none.
        """
        return tb.table_of(self._tables, self._name, table_name)

    def get_table_columns(self, table_name: str, include_incomplete: bool = False) -> TTableSchemaColumns:
        """The columns of a table, by default only those that have a type.

        Raises:
            TableNotFound: There is no such table.
        """
        columns = self.get_table(table_name).get("columns", {})
        if include_incomplete:
            return columns
        return {n: c for n, c in columns.items() if tb.is_complete_column(c)}

    def is_new_table(self, table_name: str) -> bool:
        """Whether the table is unknown or has no column with a type yet."""
        table = self._tables.get(table_name)
        return table is None or not any(map(tb.is_complete_column, table.get("columns", {}).values()))

    def is_dlt_table(self, table_name: str) -> bool:
        """Whether the table belongs to the engine."""
        return table_name.startswith(self._names.prefix)

    def data_tables(self, seen_data_only: bool = False, include_incomplete: bool = False) -> list[TTableSchema]:
        """Tables of the source.

        Args:
            seen_data_only: Only tables that ever had rows.
            include_incomplete: Also tables without any typed column.
        """
        return [
            table
            for name, table in self._tables.items()
            if not self.is_dlt_table(name)
            and (not seen_data_only or tb.has_seen_data(table))
            and (include_incomplete or not self.is_new_table(name))
        ]

    def data_table_names(self, seen_data_only: bool = False, include_incomplete: bool = False) -> list[str]:
        """Names of `data_tables`."""
        return [t["name"] for t in self.data_tables(seen_data_only, include_incomplete)]

    def dlt_tables(self) -> list[TTableSchema]:
        """Tables of the engine."""
        return [table for name, table in self._tables.items() if self.is_dlt_table(name)]

    def dlt_table_names(self) -> list[str]:
        """Names of `dlt_tables`."""
        return [t["name"] for t in self.dlt_tables()]

    def get_nested_tables(self, root: str) -> list[TTableSchema]:
        """The table and all tables nested in it: the table itself first, parents before children.

        Raises:
            TableNotFound: There is no such table.
        """
        self.get_table(root)
        return tb.get_nested_tables(self._tables, root)

    def get_root_table(self, table_name: str) -> TTableSchema:
        """The table at the top of a nested table's chain; a root table is its own.

        Raises:
            TableNotFound: There is no such table.
        """
        self.get_table(table_name)
        return tb.get_root_table(self._tables, table_name)

    def get_new_table_columns(
        self,
        table_name: str,
        existing_columns: Mapping[str, Any],
        case_sensitive: bool,
        include_incomplete: bool = False,
    ) -> list[TColumnSchema]:
        """Columns of a table that a destination lacks.

        Args:
            table_name: The table.
            existing_columns: What the destination has, by name.
            case_sensitive: Whether the destination tells ``Id`` from ``id``.
            include_incomplete: Whether columns without a type count.

        Raises:
            TableNotFound: There is no such table.
        """
        known = set(existing_columns) if case_sensitive else {n.casefold() for n in existing_columns}
        columns = self.get_table_columns(table_name, include_incomplete)
        return [c for n, c in columns.items() if (n if case_sensitive else n.casefold()) not in known]

    @property
    def references(self) -> list[TTableReference]:
        """References between tables: those that users declared, and those of nested rows, load ids and versions."""
        return references_of(self)

    # ---- hints -------------------------------------------------------------------------------------------------------

    def hint_columns(self, table_name: str, hint: str, include_incomplete: bool = False) -> list[str]:
        """Names of a table's columns that have a hint, in column order.

        Raises:
            TableNotFound: There is no such table.
        """
        return tb.get_columns_names_with_prop(self.get_table(table_name), hint, include_incomplete)

    def inherited_hint(self, table_name: str, hint: str) -> Any:
        """A table's hint, or that of the nearest table above it; None when none has it."""
        return tb.get_inherited_table_hint(self._tables, table_name, hint) if table_name in self._tables else None

    def write_disposition(self, table_name: str) -> TWriteDisposition:
        """How a table is written; nested tables follow their root, unknown ones are appended to."""
        found = self.inherited_hint(table_name, "write_disposition")
        return cast(TWriteDisposition, found or tb.DEFAULT_WRITE_DISPOSITION)

    def merge_strategy(self, table_name: str, default: str = "delete-insert") -> str:
        """How a table is merged; nested tables follow their root."""
        return str(self.inherited_hint(table_name, "x-merge-strategy") or default)

    def preferred_type(self, column_name: str) -> TDataType | None:
        """The type that `settings` prefer for columns of this name; remembered by name."""
        return self._column_settings.preferred_type(column_name)

    get_preferred_type = preferred_type

    def default_hints_for(self, column_name: str) -> dict[str, Any]:
        """The properties that default hints add to a new column of this name; remembered by name."""
        return self._column_settings.default_hints_for(column_name)

    def columns_with_preferred(self, column_names: Iterable[str]) -> dict[str, TDataType]:
        """Those of the names that have a preferred type, with it."""
        found = ((name, self.preferred_type(name)) for name in column_names)
        return {name: data_type for name, data_type in found if data_type is not None}

    def filter_row_with_hint(self, table_name: str, hint_type: str, row: Mapping[str, Any]) -> dict[str, Any]:
        """The part of a row whose columns have a hint: by the table where it is known, else by default hints.

        Args:
            table_name: The table; it need not exist.
            hint_type: A hint; ``not_null`` stands for columns that are not nullable.
            row: Values by normalized column name.
        """
        table = self._tables.get(table_name)
        if table is None:
            prop = "nullable" if hint_type == "not_null" else hint_type
            return {k: v for k, v in row.items() if prop in self.default_hints_for(k)}
        names = tb.get_columns_names_with_prop(table, "nullable" if hint_type == "not_null" else hint_type, True)
        return {name: row[name] for name in names if name in row}
