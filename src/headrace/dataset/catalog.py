"""The tables that queries may name: spelled as the schema spells them, found as people write them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from headrace.errors.dataset import DatasetTableNotFound, RelationUnknownColumnException
from headrace.typing import TTableSchema, TTableSchemaColumns

if TYPE_CHECKING:
    from headrace.model.naming.base import NamingConvention
    from headrace.model.schema import Schema


class Catalog:
    """Tables and columns of one or more schemas.

    A name is looked for as it stands, then as the naming convention would write it, then without regard to case if that
    is unambiguous.

    Args:
        dataset_name: The dataset, for errors.
        schemas: Where two schemas have a table of one name, the first one counts.
    """

    def __init__(self, dataset_name: str, schemas: Sequence[Schema]) -> None:
        self.dataset_name = dataset_name
        self.schemas = tuple(schemas)
        self._schema_of: dict[str, Schema] = {}
        for schema in schemas:
            for name in schema.tables:
                if not schema.is_new_table(name):
                    self._schema_of.setdefault(name, schema)

    @property
    def naming(self) -> NamingConvention:
        """The naming convention of the first schema."""
        return self.schemas[0].naming

    @property
    def table_names(self) -> list[str]:
        """All tables: those of data first, in the order of the schemas."""
        own = [name for name, schema in self._schema_of.items() if schema.is_dlt_table(name)]
        return [name for name in self._schema_of if name not in own] + own

    def find_table(self, name: str) -> str | None:
        """The spelling of a table; None when there is none."""
        return _spelling(name, list(self._schema_of), self.naming.normalize_tables_path)

    def table(self, name: str) -> str:
        """The spelling of a table.

        Raises:
            DatasetTableNotFound: There is none.
        """
        found = self.find_table(name)
        if found is None:
            raise DatasetTableNotFound(self.dataset_name, name, self.table_names)
        return found

    def schema_of(self, table: str) -> Schema:
        """The schema that has a table."""
        return self._schema_of[table]

    def table_schema(self, table: str) -> TTableSchema:
        """A table by its spelling."""
        return self._schema_of[table].tables[table]

    def columns(self, table: str) -> TTableSchemaColumns:
        """The columns of a table that have a type."""
        return self._schema_of[table].get_table_columns(table)

    def find_column(self, name: str, columns: Sequence[str]) -> str | None:
        """The spelling of a column among some; None when there is none."""
        return _spelling(name, columns, self.naming.normalize_path)

    def column(self, name: str, columns: Sequence[str]) -> str:
        """The spelling of a column among some.

        Raises:
            RelationUnknownColumnException: There is none.
        """
        found = self.find_column(name, columns)
        if found is None:
            raise RelationUnknownColumnException(name, columns)
        return found

    def root_of(self, table: str) -> str:
        """The root of a nested table."""
        return self._schema_of[table].get_root_table(table)["name"]

    def as_mapping(self) -> Mapping[str, TTableSchemaColumns]:
        """Columns by table."""
        return {name: self.columns(name) for name in self._schema_of}


def _spelling(name: str, known: Sequence[str], normalize: object) -> str | None:
    if name in known:
        return name
    try:
        spelled = normalize(name)  # type: ignore[operator]
    except ValueError:
        spelled = None
    if spelled in known:
        return str(spelled)
    alike = [one for one in known if one.casefold() == name.casefold()]
    return alike[0] if len(alike) == 1 else None
