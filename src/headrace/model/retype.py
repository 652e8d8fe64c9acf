"""Types asked for columns that hold data: by hints, and by Arrow schemas."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from headrace.errors.schema import UnsafeTypeChangeException
from headrace.model.capabilities import Capabilities
from headrace.model.tables import has_seen_data, is_complete_column
from headrace.model.widening import TYPE_PROPS, compare_types, type_text, why_unsafe
from headrace.typing import TColumnSchema, TTableSchema

if TYPE_CHECKING:
    from headrace.model.schema import Schema

logger = logging.getLogger("headrace")

# what an Arrow type means that says no precision
_OWN_LIMITS = {"bigint": 64, "timestamp": 6, "time": 6}


def retyped(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """The stored column with the type that is asked for: what is not said stays, unless it is of another data type."""
    same_type = not asked.get("data_type") or asked["data_type"] == stored.get("data_type")
    kept = {k: v for k, v in stored.items() if same_type or k not in TYPE_PROPS}
    return {**kept, **{p: asked[p] for p in TYPE_PROPS if asked.get(p) is not None}}


def settle_types(schema: Schema, declared: TTableSchema, capabilities: Capabilities) -> TTableSchema:
    """Bring declared types into line with columns that hold data.

    A type that holds all that the column holds is let through: load widens the column. One that the column holds
    already is left out with a warning, so that the schema says what the destination has.

    Args:
        schema: Has the stored table.
        declared: The table as the hints say; it is not changed.
        capabilities: Of the destination.

    Returns:
        The table as it may be put into the schema.

    Raises:
        UnsafeTypeChangeException: A declared type cannot hold what the column holds.
    """
    name = declared["name"]
    stored = schema.tables[name]
    if not has_seen_data(stored):
        return declared
    settled: dict[str, TColumnSchema] = {}
    for column, asked in declared.get("columns", {}).items():
        old = stored["columns"].get(column)
        if old is not None and is_complete_column(old) and _asks(old, asked):
            settled[column] = _settle(schema.name, name, old, asked, capabilities)
    if not settled:
        return declared
    return cast(TTableSchema, {**declared, "columns": {**declared["columns"], **settled}})


def _asks(stored: Mapping[str, Any], asked: Mapping[str, Any]) -> bool:
    return any(asked.get(p) is not None and asked[p] != stored.get(p) for p in TYPE_PROPS)


def _settle(
    schema_name: str, table: str, stored: TColumnSchema, asked: TColumnSchema, capabilities: Capabilities
) -> TColumnSchema:
    column = retyped(stored, asked)
    fit = compare_types(stored, column, capabilities)
    if fit == "unsafe":
        raise UnsafeTypeChangeException(
            schema_name, table, stored["name"], type_text(stored), type_text(column), why_unsafe(stored, column)
        )
    others = {k: v for k, v in asked.items() if k not in TYPE_PROPS}
    # merging leaves what the new column does not name, and the old type's digits mean nothing for a new one
    for prop in TYPE_PROPS if fit == "widen" else ():
        if prop not in column:
            cast("dict[str, Any]", stored).pop(prop, None)
    if fit == "kept":
        if type_text(column) != type_text(stored):
            logger.warning(
                "column `%s` of table `%s` is %s and stays so: it holds all values of %s, which is asked for",
                *(stored["name"], table, type_text(stored), type_text(column)),
            )
        return cast(TColumnSchema, others)
    return cast(TColumnSchema, {**others, **{p: column[p] for p in TYPE_PROPS if p in column}})


def widened_by(stored: TColumnSchema, brought: Mapping[str, Any], capabilities: Capabilities) -> TColumnSchema | None:
    """The stored column, wide enough for the type that an Arrow schema brings.

    Args:
        stored: Complete; loses properties that mean nothing for the wider type.
        brought: The column that the Arrow field makes.
        capabilities: Of the destination.

    Returns:
        The column; None when it is wide enough, or cannot be widened without loss.
    """
    if brought["data_type"] in ("text", "json"):
        return None  # Arrow's texts know no length, so they ask for none
    limits = {**brought, "precision": brought.get("precision") or _OWN_LIMITS.get(brought["data_type"])}
    column = retyped(stored, limits)
    if compare_types(stored, column, capabilities) != "widen":
        return None
    for prop in TYPE_PROPS:
        if prop not in column:
            cast("dict[str, Any]", stored).pop(prop, None)
    return cast(TColumnSchema, column)
