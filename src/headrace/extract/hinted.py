"""The hints of a resource: kept, changed, and computed into tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from headrace.errors.extract import DataItemRequiredForDynamicTableHints
from headrace.extract.cursor import IncrementalResourceWrapper, ensure_incremental
from headrace.extract.hints import (
    TResourceHints,
    TResourceNestedHints,
    check_dynamic,
    check_values,
    check_variant,
    is_dynamic,
    make_hints,
    merge_hints,
)
from headrace.extract.tablehints import nested_tables_of_hints, resolve_hints, table_of_hints
from headrace.model.naming import NamingConvention
from headrace.model.rejected import KEEP_HINT
from headrace.typing import TTableSchema

if TYPE_CHECKING:
    from typing_extensions import Self

_DEFAULTS: TResourceHints = {"columns": {}, "write_disposition": "append"}


class DltResourceHints:
    """Hints of one resource, and the tables they describe."""

    def __init__(self, hints: TResourceHints | None = None) -> None:
        self._hints: TResourceHints = {**_DEFAULTS, **(hints or {})}
        self._hints_variants: dict[str, TResourceHints] = {}
        self._version = 0  # counts changes, so that computed tables can be kept while nothing changes

    @property
    def name(self) -> str:
        """Name of the resource."""
        raise NotImplementedError

    # ---- what the hints say ----

    @property
    def table_name(self) -> Any:
        """The table's name, or a function of the item that gives it; the resource's name by default."""
        return self._hints.get("table_name") or self.name

    @table_name.setter
    def table_name(self, value: Any) -> None:
        self.apply_hints(table_name=value)

    @property
    def parent_table_name(self) -> Any:
        """The table that the resource's table is nested in."""
        return self._hints.get("parent_table_name")

    @property
    def write_disposition(self) -> Any:
        """How rows get into the table: a name, a dictionary, or a function of the item."""
        return self._hints.get("write_disposition") or "append"

    @write_disposition.setter
    def write_disposition(self, value: Any) -> None:
        self.apply_hints(write_disposition=value)

    @property
    def columns(self) -> Any:
        """Columns by name, or a function of the item that gives them."""
        return self._hints.get("columns")

    @property
    def schema_contract(self) -> Any:
        """The contract of the table."""
        return self._hints.get("schema_contract")

    @property
    def table_format(self) -> Any:
        """The format of the table at the destination."""
        return self._hints.get("table_format")

    @property
    def nested_hints(self) -> Any:
        """Hints of nested tables, by path."""
        return self._hints.get("nested_hints")

    @property
    def max_table_nesting(self) -> int | None:
        """How many levels of nested tables are made; None leaves it to the source."""
        return self._hints.get("max_table_nesting")

    @max_table_nesting.setter
    def max_table_nesting(self, value: int | None) -> None:
        if value is None:
            self._hints.pop("max_table_nesting", None)
        else:
            self._hints["max_table_nesting"] = value
        self._version += 1

    @property
    def keep_rejected(self) -> bool | None:
        """Whether items that the contract lets go are kept in ``<table>__rejected``; None leaves it to the settings.

        It is the table hint ``x-keep-rejected``, and may be given as one: `apply_hints(additional_table_hints=…)`.
        """
        found: bool | None = self._hints.get(KEEP_HINT)
        return found

    @keep_rejected.setter
    def keep_rejected(self, value: bool | None) -> None:
        if value is None:
            self._hints.pop(KEEP_HINT, None)
        else:
            self._hints[KEEP_HINT] = value
        self._version += 1

    @property
    def has_dynamic_table_name(self) -> bool:
        """Whether the table's name is a function of the item."""
        return callable(self._hints.get("table_name"))

    @property
    def has_other_dynamic_hints(self) -> bool:
        """Whether another hint is a function of the item, so that tables differ with items."""
        return any(is_dynamic(self._hints, name) for name in self._hints if name != "table_name")

    # ---- changing them ----

    def apply_hints(
        self,
        table_name: Any = None,
        parent_table_name: Any = None,
        write_disposition: Any = None,
        columns: Any = None,
        primary_key: Any = None,
        merge_key: Any = None,
        incremental: Any = None,
        schema_contract: Any = None,
        additional_table_hints: Mapping[str, Any] | None = None,
        table_format: Any = None,
        file_format: Any = None,
        references: Any = None,
        create_table_variant: bool = False,
        nested_hints: Any = None,
    ) -> Self:
        """Change hints in place. None leaves a hint as it is, an empty value removes it; columns are merged by name.

        Args:
            table_name: Name, or a function of the item.
            parent_table_name: The table this one is nested in.
            write_disposition: ``append``, ``replace``, ``merge``, ``skip``, or a dictionary with options.
            columns: Columns by name, a sequence of columns, or a pydantic model.
            primary_key: Column or columns; replaces the former key.
            merge_key: Column or columns; replaces the former key.
            incremental: The cursor; it wins over the arguments of the resource function.
            schema_contract: A mode, or modes by entity.
            additional_table_hints: More properties of the table, mostly ``x-…``.
            table_format: ``delta``, ``iceberg``, ``hive``, ``native``.
            file_format: Format of loader files.
            references: References to other tables.
            create_table_variant: Keep the hints for the table they name instead of changing the resource.
            nested_hints: Hints of nested tables, by path.

        Raises:
            InconsistentTableTemplate: The hints contradict each other.
            ValueErrorWithKnownValues: A disposition, strategy or mode is unknown.
        """
        given = {k: v for k, v in locals().items() if k not in ("self", "create_table_variant", "__class__")}
        checked = dict(given)
        if callable(self._hints.get("table_name")) and given["table_name"] is None:
            # functions among the new hints are fine when the resource's table name is one already
            checked["table_name"] = self._hints["table_name"]
        hints = make_hints(**checked)
        self.merge_hints(hints, create_table_variant)
        if "schema_contract" in hints:
            self._renew_validator()
        return self

    def merge_hints(self, hints_template: TResourceHints, create_table_variant: bool = False) -> None:
        """Put hints made by `make_hints` over the present ones.

        Args:
            hints_template: The hints.
            create_table_variant: Keep them for the table they name instead.

        Raises:
            InconsistentTableTemplate: The hints contradict each other.
            ValueError: A variant has no table name.
        """
        self._version += 1
        if create_table_variant:
            table = check_variant(self.name, hints_template)
            base = self._hints_variants.get(table, {k: v for k, v in self._hints.items() if k != "incremental"})
            self._hints_variants[table] = merge_hints(base, hints_template)
            return
        self._set_hints(merge_hints(self._hints, hints_template), hints_template)

    def _set_hints(self, hints: TResourceHints, changed: Mapping[str, Any]) -> None:
        check_values(hints)
        check_dynamic(hints)
        self._hints = hints

    def _renew_validator(self) -> None:
        return None

    # ---- tables ----

    def _root_hints(self, meta: Any) -> tuple[TResourceHints, str | None]:
        """The hints that apply to an item, and the table its mark names."""
        named = getattr(meta, "table_name", None)
        if named is not None:
            return self._hints_variants.get(named, self._hints), named
        if getattr(meta, "create_table_variant", False):
            name = meta.hints["table_name"]
            return self._hints_variants[name], name
        return self._hints, None

    def compute_table_schema(self, item: Any = None, meta: Any = None) -> TTableSchema:
        """The table that the hints describe; names are not normalized.

        Args:
            item: Needed when a hint is a function of the item.
            meta: A mark that names another table.

        Raises:
            DataItemRequiredForDynamicTableHints: A hint is a function, and there is no item.
        """
        hints, named = self._root_hints(meta)
        given = {**hints, "table_name": named} if named else hints
        resolved = resolve_hints(self.name, given, item)
        resolved["columns"] = dict(resolved.get("columns") or {})
        table = resolved.get("table_name") or self.name
        cursor = None if named and named in self._hints_variants else self._cursor_column()
        return table_of_hints(self.name, resolved, table, cursor_column=cursor)

    def compute_nested_table_schemas(
        self, root_table_name: str, naming: NamingConvention, item: Any = None, meta: Any = None
    ) -> list[TTableSchema]:
        """The tables that ``nested_hints`` describe, parents before children.

        Args:
            root_table_name: Of the root table, normalized.
            naming: Makes the names.
            item: Needed when a hint is a function of the item.
            meta: A mark that names another table.
        """
        return list(self.get_nested_hints(root_table_name, naming, item, meta))

    def get_nested_hints(
        self, root_table_name: str, naming: NamingConvention, item: Any = None, meta: Any = None
    ) -> Iterator[TTableSchema]:
        """The same, one at a time."""
        hints, _ = self._root_hints(meta)
        nested = hints.get("nested_hints")
        if callable(nested):
            if item is None:
                raise DataItemRequiredForDynamicTableHints(self.name, "nested_hints")
            nested = nested(item)
        if nested:
            yield from nested_tables_of_hints(self.name, {"nested_hints": nested}, root_table_name, naming, item)

    def compute_tables(self, naming: NamingConvention, item: Any = None, meta: Any = None) -> list[TTableSchema]:
        """The root table and the nested ones that hints describe."""
        root = self.compute_table_schema(item, meta)
        root_name = naming.normalize_tables_path(root["name"])
        return [root, *self.compute_nested_table_schemas(root_name, naming, item, meta)]

    def _cursor_column(self) -> str | None:
        """The column that the incremental reads, when its path is a plain name."""
        hint = self._hints.get("incremental")
        cursor: Any = hint if hint is not None else getattr(self, "incremental", None)
        if isinstance(cursor, IncrementalResourceWrapper):
            cursor = cursor.incremental
        if cursor is None:
            return None
        column: str | None = ensure_incremental(cursor).get_cursor_column_name()
        return column


__all__ = ["DltResourceHints", "TResourceHints", "TResourceNestedHints", "make_hints"]
