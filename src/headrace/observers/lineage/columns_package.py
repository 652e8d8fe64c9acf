"""Data columns of a package: the targets that `model.evolve` gives the raw paths, read backwards."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from headrace.errors.schema import DataValidationError
from headrace.model import tables as tb
from headrace.model.evolve import KIND_TYPES, ColumnTarget, evolve
from headrace.model.rawnames import RawNames
from headrace.model.schema import Schema
from headrace.model.shape import ChainShape, ColumnShape, join_shapes
from headrace.observers.lineage.columns_files import columns_of_files
from headrace.observers.lineage.columns_kinds import may_fit, transformation_of
from headrace.observers.lineage.columns_paths import Place, Places
from headrace.observers.lineage.facts import Transformation
from headrace.typing import TColumnSchema

if TYPE_CHECKING:
    from headrace.model.jobs import SpoolFile

Ways = dict[Place, list[Transformation]]
"""From where to how: the sources of one column."""

_NUMBERS = frozenset({"bigint", "double", "decimal", "wei"})


class PackageSchema:
    """The schema of a package, to be asked where raw paths went. Make one for all resources of the package.

    Args:
        document: The schema that the package was normalized with; it is not changed.

    Attributes:
        columns: Complete columns of each table that has seen data, in the table's order.
        filled: By package and root table, the columns of its tables that rows of any resource have; as it was asked.
    """

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.schema = Schema.from_dict(document, bump_version=False, validate_schema=False)
        self.names = RawNames(self.schema)
        self.filled: dict[tuple[str, str], dict[str, set[str]]] = {}
        self.columns: dict[str, dict[str, TColumnSchema]] = {
            name: {n: c for n, c in table.get("columns", {}).items() if tb.is_complete_column(c)}
            for name, table in self.schema.tables.items()
            if tb.has_seen_data(table)
        }

    def chain(self, root: str) -> list[str]:
        """A root table and the tables nested in it that have seen data."""
        if root not in self.schema.tables:
            return []
        return [t["name"] for t in self.schema.get_nested_tables(root) if t["name"] in self.columns]


class DataColumns:
    """Where the data columns of the tables of one root table come from.

    Attributes:
        ways: By table and column.
        fields: Top-level keys of the items, in the order of first sight.
    """

    def __init__(self, package: PackageSchema, root: str) -> None:
        self.package, self.root = package, root
        self.ways: dict[str, dict[str, Ways]] = {}
        self._variants = {t for t in package.chain(root) if any(c.get("variant") for c in package.columns[t].values())}
        self.fields: dict[Place, None] = {}

    def add(self, files: Iterable[SpoolFile]) -> None:
        """Add what spool files of the root table hold."""
        rows: list[ChainShape] = []
        given: list[SpoolFile] = []
        for file in files:
            if file.kind == "rows":
                rows.append(ChainShape.from_dict(file.shape))
            elif file.kind == "arrow" and file.shape:
                self._arrow(ChainShape.from_dict(file.shape))
            elif file.kind == "file" and file.format != "model":
                given.append(file)
        for name in columns_of_files(given):
            self._imported(name)
        if rows:
            self._rows(join_shapes(rows))

    def way(self, table: str, column: str, place: Place, how: Transformation) -> None:
        """Note one source of a column; those of columns that the schema does not have are passed over."""
        if column in self.package.columns.get(table, ()):
            known = self.ways.setdefault(table, {}).setdefault(column, {}).setdefault(place, [])
            if how not in known:
                known.append(how)
        if place and place[0] is not None and not place[0].startswith(tb.DLT_NAME_PREFIX):
            self.fields.setdefault(place[:1])

    def _rows(self, shape: ChainShape) -> None:
        package, places = self.package, Places(shape)
        try:
            chain = evolve(package.schema, self.root, shape, package.names)
        except DataValidationError:
            return  # the schema was changed behind the data: better no edge than a guess
        for table in shape.tables:
            target = chain.of(table.path, table.above)
            if target.discard or target.name not in package.columns:
                continue
            # the engine writes these whatever the items say
            engine = {n for n in target.keys.names() if n != tb.C_DLT_ID or target.keys.row_id == "row_hash"}
            for column in table.columns:
                goal = target.columns[tuple(column.path)]
                if goal.name and not goal.discard and goal.name not in engine:
                    for place in places.values(table, column):
                        self._value(target.name, column, goal, place)

    def _value(self, table: str, shape: ColumnShape, goal: ColumnTarget, place: Place) -> None:
        columns, names = self.package.columns[table], self.package.names
        column = columns.get(goal.name)
        for kind in shape.kinds:
            if column is not None and may_fit(kind, column["data_type"]):
                self.way(table, goal.name, place, transformation_of(kind, column))
            if table not in self._variants:
                continue
            own = names.variant(goal.name, KIND_TYPES.get(kind, kind))
            wanted = [own]
            if kind in _NUMBERS and own not in columns:
                wanted.append(names.variant(goal.name, "text"))  # numbers too long for any number column
            for name in wanted:
                variant = columns.get(name)
                if variant is not None and variant.get("variant"):
                    self.way(table, name, place, transformation_of(kind, variant, variant=True))

    def _arrow(self, shape: ChainShape) -> None:
        columns = self.package.columns.get(self.root, {})
        versioned = self._has_row_hash()
        for column in shape.tables[0].columns:
            (raw,) = column.path
            name = self.package.schema.naming.normalize_path(raw)
            if name in columns and not (versioned and name == tb.C_DLT_ID):
                self.way(self.root, name, (raw,), transformation_of(column.kinds[0], columns[name]))

    def _has_row_hash(self) -> bool:
        from headrace.model.rowkeys import is_version_in_row_id

        return is_version_in_row_id(self.package.schema, self.root)

    def _imported(self, name: str) -> None:
        """The destination brings in the columns of an imported file by their names."""
        columns = self.package.columns.get(self.root, {})
        if name not in columns:
            name_of = {known.casefold(): known for known in columns}
            column = name_of.get(name.casefold(), "")
        else:
            column = name
        if column and not column.startswith(tb.DLT_NAME_PREFIX):
            self.way(self.root, column, (name,), Transformation("DIRECT", "IDENTITY", "imported file"))
