"""Which key columns the rows of a table get, and how their ids are made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from headrace.model import tables as tb
from headrace.typing import TTableSchema

if TYPE_CHECKING:
    from headrace.model.schema import Schema

RowId = Literal["random", "key_hash", "row_hash"]

KEY_HASH_STRATEGIES = ("upsert", "insert-only", "cdc")
ROOT_KEY_WANTED = "root_key_propagation"  # in the configuration of the normalizer: `source(root_key=True)`
ROOT_KEY_STRATEGIES = ("delete-insert", *KEY_HASH_STRATEGIES)


class RowKeys(msgspec.Struct, frozen=True):
    """The system columns of a table.

    Attributes:
        nested: The rows hang on rows of a parent table.
        root_id: Nested rows also name their root row.
        row_id: How the row's own id is made: ``random``, ``key_hash`` (from the primary key) or ``row_hash`` (found in
            the
            item, where extract put it).
        key_columns: The primary key, for ``key_hash``.
        deterministic: Nested ids follow from the parent's id, table and place, so that a repeated row gets its old id.
    """

    nested: bool = False
    root_id: bool = False
    row_id: RowId = "random"
    key_columns: tuple[str, ...] = ()
    deterministic: bool = False

    def names(self) -> list[str]:
        """The columns' names in the order in which they stand behind the data columns."""
        if not self.nested:
            return [tb.C_DLT_LOAD_ID, tb.C_DLT_ID]
        root = [tb.C_DLT_ROOT_ID] if self.root_id else []
        return [*root, tb.C_DLT_PARENT_ID, tb.C_DLT_LIST_IDX, tb.C_DLT_ID]

    def complete(self, table: TTableSchema) -> bool:
        """Whether the table has all of them already."""
        columns = table.get("columns", {})
        return all(n in columns and tb.is_complete_column(columns[n]) for n in self.names())


def decide_row_keys(schema: Schema, table: str, parent: str | None, root: str) -> RowKeys:
    """Say which key columns the rows of a table get.

    A table under a list that has a primary or merge key of its own counts as a root table.
    """
    known = schema.tables.get(table)
    nested = parent is not None and (known is None or tb.is_nested_table(known))
    strategy = schema.merge_strategy(root) if schema.write_disposition(root) == "merge" else None
    if nested:
        return RowKeys(
            nested=True,
            root_id=_wants_root_id(schema, root, strategy),
            deterministic=strategy in (*KEY_HASH_STRATEGIES, "scd2"),
        )
    strategy = schema.merge_strategy(table) if schema.write_disposition(table) == "merge" else None
    if strategy in KEY_HASH_STRATEGIES:
        return RowKeys(row_id="key_hash", key_columns=_primary_key(schema, table))
    return RowKeys(row_id="row_hash") if is_version_in_row_id(schema, table) else RowKeys()


def is_version_in_row_id(schema: Schema, table: str) -> bool:
    """Whether the row id is the version of the row: a history (``scd2``) without a version column of its own."""
    if schema.write_disposition(table) != "merge" or schema.merge_strategy(table) != "scd2":
        return False
    # without the hint anywhere the table was not declared here, and the version is where it is by default
    columns = schema.tables[table].get("columns", {})
    own = [name for name, column in columns.items() if column.get("x-row-version")]
    return not own or schema.naming.normalize_identifier(tb.C_DLT_ID) in own


def settle_history(schema: Schema, table: str, declared: TTableSchema) -> None:
    """Bring the hints of a stored table into line with a disposition that was declared anew.

    A table that leaves ``scd2`` names its rows by their ids again; one that takes other validity columns keeps the old
    ones as plain columns.
    """
    columns = cast("dict[str, dict[str, Any]]", schema.tables[table].get("columns") or {})
    own = declared.get("columns") or {}
    if schema.write_disposition(table) == "merge" and schema.merge_strategy(table) == "scd2":
        for hint in ("x-valid-from", "x-valid-to", "x-row-version"):
            if any(column.get(hint) for column in own.values()):
                for name in [n for n, c in columns.items() if c.get(hint) and not (own.get(n) or {}).get(hint)]:
                    _drop_hint(columns[name], hint, name == tb.C_DLT_ID)
        return
    row_id = columns.get(tb.C_DLT_ID)
    if row_id is not None and row_id.get("x-row-version"):
        _drop_hint(row_id, "x-row-version", True)


def _drop_hint(column: dict[str, Any], hint: str, is_row_id: bool) -> None:
    column.pop(hint)
    column.pop("x-active-record-timestamp", None)
    if is_row_id:
        # not unique: versions of a record that came back have one id
        column["row_key"] = True


def _primary_key(schema: Schema, table: str) -> tuple[str, ...]:
    # columns without a type as well: in the first load of a table none has one yet
    return tuple(schema.hint_columns(table, "primary_key", include_incomplete=True))


def declare_root_key(schema: Schema, root: str) -> None:
    """Say in the schema that a table hands its row id down, where its source or the merge strategy wants that."""
    merged = schema.write_disposition(root) == "merge" and schema.merge_strategy(root) in ROOT_KEY_STRATEGIES
    wanted = merged or (schema.normalizers["json"].get("config") or {}).get(ROOT_KEY_WANTED)
    if schema.is_dlt_table(root) or not wanted:
        return
    config = schema.normalizers["json"].setdefault("config", {})
    propagation = config.setdefault("propagation", {})
    if tb.C_DLT_ROOT_ID not in (propagation.get("root") or {}).values():
        propagation.setdefault("tables", {}).setdefault(root, {})[tb.C_DLT_ID] = tb.C_DLT_ROOT_ID


def _wants_root_id(schema: Schema, root: str, strategy: str | None) -> bool:
    """Whether nested rows carry the root row's id: asked for, needed by the merge, or there already."""
    config = schema.normalizers.get("json", {}).get("config") or {}
    if config.get(ROOT_KEY_WANTED):
        return True
    propagation = config.get("propagation") or {}
    if tb.C_DLT_ROOT_ID in (propagation.get("root") or {}).values():
        return True
    if tb.C_DLT_ROOT_ID in ((propagation.get("tables") or {}).get(root) or {}).values():
        return True
    if strategy in ROOT_KEY_STRATEGIES:
        return True
    return any(schema.hint_columns(t["name"], "root_key") for t in schema.get_nested_tables(root)[1:])
