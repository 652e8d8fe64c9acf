"""Schema contracts: what data may change, as decisions that somebody else carries out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial as partial_call
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast, get_args

from headrace.errors import ValueErrorWithKnownValues
from headrace.errors.schema import DataValidationError
from headrace.model.rejected import REJECTED_OF
from headrace.model.tables import (
    DLT_NAME_PREFIX,
    TYPE_PROPS,
    is_complete_column,
    is_default_prop,
)
from headrace.typing import (
    TColumnSchema,
    TSchemaContract,
    TSchemaContractDict,
    TSchemaContractEntities,
    TSchemaEvolutionMode,
    TTableSchema,
)

if TYPE_CHECKING:
    from headrace.model.schema import Schema

Verdict: TypeAlias = Literal["evolve", "discard_row", "discard_value"]
"""What to do: go on, leave out rows, or leave out values. ``freeze`` is raised instead."""

Discarded: TypeAlias = tuple[TSchemaContractEntities, str, TSchemaEvolutionMode]

ENTITIES: tuple[TSchemaContractEntities, ...] = ("tables", "columns", "data_type")
EVOLVE: TSchemaContractDict = {"tables": "evolve", "columns": "evolve", "data_type": "evolve"}


def expand_contract(
    settings: TSchemaContract | None, default: TSchemaContractDict | None = None
) -> TSchemaContractDict:
    """A contract with a mode for each entity.

    Args:
        settings: A mode for all, or modes by entity; entities that are not named take the default's.
        default: Modes for what is not named; ``evolve`` where it says nothing.

    Raises:
        ValueErrorWithKnownValues: A mode is unknown.
    """
    given: Mapping[str, Any] = dict.fromkeys(ENTITIES, settings) if isinstance(settings, str) else settings or {}
    for entity, mode in given.items():
        if mode not in get_args(TSchemaEvolutionMode):
            raise ValueErrorWithKnownValues(f"schema_contract.{entity}", mode, get_args(TSchemaEvolutionMode))
        if entity not in ENTITIES:
            raise ValueErrorWithKnownValues("schema_contract", entity, ENTITIES)
    return cast(TSchemaContractDict, {**EVOLVE, **(default or {}), **given})


def resolve_contract(
    schema: Schema, table: str | Mapping[str, Any], new_table: Mapping[str, Any] | None = None
) -> TSchemaContractDict:
    """The contract that applies to a table.

    The table's own setting comes first, then that of the nearest table above it, then the schema's. Tables of the
    system and those of rejected rows have none.

    Args:
        schema: The schema.
        table: A table or its name; it need not be in the schema.
        new_table: A declaration of the table that is not in the schema yet, and is asked before the stored one.
    """
    name = table if isinstance(table, str) else str(table.get("name"))
    if is_system_name(schema, name) or REJECTED_OF in (schema.tables.get(name) or {}):
        return expand_contract("evolve")
    own: Mapping[str, Any] | None = new_table or (None if isinstance(table, str) else table)
    own = own or schema.tables.get(name)
    while own is not None:
        settings = own.get("schema_contract")
        if settings is None and own is not schema.tables.get(name):
            settings = (schema.tables.get(name) or {}).get("schema_contract")
        if settings is not None:
            return expand_contract(settings)
        name = str(own.get("parent") or "")
        if not name:
            break
        own = schema.tables.get(name)
    return expand_contract(schema.settings.get("schema_contract"))


def _verdict(
    schema: Schema,
    contract: TSchemaContractDict,
    entity: TSchemaContractEntities,
    table_name: str,
    column_name: str | None,
    item: Any,
) -> Verdict:
    mode = contract[entity]
    if mode == "freeze":
        table, reason = schema.tables.get(table_name), _REASONS[entity]
        raise DataValidationError(
            schema.name, table_name, column_name, entity, mode, table, cast(Any, contract), item, reason
        )
    return mode


_REASONS = {
    "tables": "the table is new",
    "columns": "the column is new",
    "data_type": "the column has another type already",
}


def decide_table(schema: Schema, table_name: str, contract: TSchemaContractDict, item: Any = None) -> Verdict:
    """Whether rows for a table are welcome; anything but ``evolve`` means that none of its rows are loaded.

    Args:
        schema: The schema as it is.
        table_name: The table's normalized name.
        contract: Of `resolve_contract`.
        item: The item in question, for the error.

    Raises:
        DataValidationError: The table is new and tables are frozen.
    """
    if contract["tables"] == "evolve" or is_system_name(schema, table_name) or not schema.is_new_table(table_name):
        return "evolve"
    return _verdict(schema, contract, "tables", table_name, None, item)


def refuses_table(schema: Schema, table_name: str, contract: TSchemaContractDict, item: Any = None) -> bool:
    """Whether all rows of a table are to be left out; see `decide_table`."""
    return decide_table(schema, table_name, contract, item) != "evolve"


def decide_column(
    schema: Schema,
    table_name: str,
    column_name: str,
    contract: TSchemaContractDict,
    column: TColumnSchema,
    item: Any = None,
) -> Verdict:
    """Whether a column, new or declared again, is welcome.

    Args:
        schema: The schema as it is.
        table_name: The table's normalized name.
        column_name: The column's normalized name.
        contract: Of `resolve_contract`.
        column: The column.
        item: The item in question, for the error.

    Raises:
        DataValidationError: The contract freezes what the column would change.
    """
    if contract["columns"] == "evolve" and contract["data_type"] == "evolve":
        return "evolve"
    if is_system_name(schema, column_name) or schema.is_new_table(table_name):
        return "evolve"
    table = schema.tables[table_name]
    stored = table.get("columns", {}).get(column_name)
    if stored is not None and is_complete_column(stored):
        if not changes_type(stored, column):
            return "evolve"
        return _verdict(schema, contract, "data_type", table_name, column_name, item)
    if column.get("variant"):
        return _verdict(schema, contract, "data_type", table_name, column_name, item)
    # a table being made by this very run gets its columns in whatever order its rows bring them
    if (table.get("x-normalizer") or {}).get("evolve-columns-once"):
        return "evolve"
    return _verdict(schema, contract, "columns", table_name, column_name, item)


def changes_type(stored: TColumnSchema, column: TColumnSchema) -> bool:
    """Whether a declaration says anything about the type that the stored column does not."""
    old, new = cast("dict[str, Any]", stored), cast("dict[str, Any]", column)
    return any(
        p in new and new[p] != old.get(p) and not (is_default_prop(p, new[p]) and is_default_prop(p, old.get(p)))
        for p in TYPE_PROPS
    )


def is_system_name(schema: Schema, name: str) -> bool:
    """Whether a table or column belongs to the engine; contracts do not apply to these."""
    return name.startswith((DLT_NAME_PREFIX, schema.dlt_prefix))


def apply_contract(
    schema: Schema,
    contract: TSchemaContractDict,
    partial: TTableSchema,
    item: Any = None,
    raise_on_freeze: bool = True,
) -> tuple[TTableSchema | None, list[Discarded]]:
    """Cut a declared or computed table down to what the contract allows.

    Args:
        schema: The schema as it is.
        contract: Of `resolve_contract`.
        partial: The table as the data wants it; it is not changed.
        item: The item in question, for the error.
        raise_on_freeze: Whether to raise; else frozen entities are listed as discarded.

    Returns:
        The allowed part (None when the table is not welcome), and what was discarded as (entity, name, mode).

    Raises:
        DataValidationError: Something is frozen.
    """
    name = partial["name"]
    mode = _mode(lambda: decide_table(schema, name, contract, item), raise_on_freeze)
    if mode != "evolve":
        return None, [("tables", name, mode)]
    columns, discarded = {}, list[Discarded]()
    for column_name, column in partial.get("columns", {}).items():
        mode = _mode(partial_call(decide_column, schema, name, column_name, contract, column, item), raise_on_freeze)
        if mode == "evolve":
            columns[column_name] = column
        else:
            discarded.append(("columns", column_name, mode))
    return cast(TTableSchema, {**partial, "columns": columns}), discarded


def _mode(decide: Callable[[], Verdict], raise_on_freeze: bool) -> TSchemaEvolutionMode:
    try:
        return decide()
    except DataValidationError:
        if raise_on_freeze:
            raise
        return "freeze"
