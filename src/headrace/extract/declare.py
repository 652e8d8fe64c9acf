"""Tables that hints describe, put into the schema as far as the contract allows."""

from __future__ import annotations

import logging
from typing import Any, cast

from headrace.extract.dispositions import forget_options
from headrace.extract.resource import DltResource
from headrace.model.capabilities import Capabilities
from headrace.model.clashes import CLASH_FIX, clash_of_resources
from headrace.model.contract import apply_contract
from headrace.model.retype import settle_types
from headrace.model.rowkeys import settle_history
from headrace.model.schema import Schema
from headrace.model.tables import X_NORMALIZER
from headrace.typing import TTableSchema

logger = logging.getLogger("headrace")
TYPED = ("data_type", "precision", "scale", "timezone")


class Declarations:
    """What the hints of one resource declared so far.

    Args:
        schema: Gets the tables.
        resource: Has the hints.
        capabilities: Of the destination, or its defaults when none is known yet.
        declared: Gets the columns whose type the hints fix, by table.

    Attributes:
        refused: Root tables that the contract does not want, with the rule: all their rows are to be let go.
    """

    def __init__(
        self,
        schema: Schema,
        resource: DltResource[Any],
        capabilities: Capabilities | None = None,
        declared: dict[str, set[str]] | None = None,
    ) -> None:
        self.schema, self.resource = schema, resource
        self.capabilities = capabilities or Capabilities()
        self.declared = {} if declared is None else declared
        self.refused: dict[str, str] = {}
        self._seen: dict[str, tuple[TTableSchema, str]] = {}

    def declare(self, item: Any, meta: Any) -> str:
        """Put the tables for an item into the schema.

        Args:
            item: For hints that are functions of it.
            meta: The mark of the item.

        Returns:
            The normalized name of the root table; it may be one of ``refused``.

        Raises:
            DataValidationError: The contract forbids the table or a change to it.
            UnsafeTypeChangeException: A column with data is declared with a type that cannot hold them.
            DataItemRequiredForDynamicTableHints: There is no item, and a hint is a function.
        """
        table = self.resource.compute_table_schema(item, meta)
        seen = self._seen.get(table["name"])
        if seen is not None and seen[0] == table:
            return seen[1]
        stored = self.schema.tables.get(self.schema.normalize_table_name(table["name"]))
        if stored is not None:
            clash = clash_of_resources(self.schema, stored["name"], self.resource.name)
            if clash:
                logger.warning("Schema `%s`: %s. %s", self.schema.name, clash, CLASH_FIX)
            forget_options(cast("dict[str, Any]", stored), self.resource.write_disposition)
        name = self._put(table)
        if name not in self.refused:
            for nested in self.resource.compute_nested_table_schemas(name, self.schema.naming, item, meta):
                self._put_parents(nested)
                self._put(nested)
        self._seen[table["name"]] = (table, name)
        return name

    def name_of(self, item: Any, meta: Any) -> str:
        """The normalized name of the root table that an item is meant for, whatever becomes of it."""
        named = getattr(meta, "table_name", None) or self.resource.table_name
        return self.schema.normalize_table_name(named(item) if callable(named) else named)

    def forget(self) -> None:
        """Look at all tables again: the hints have changed."""
        self._seen.clear()

    def _put(self, table: TTableSchema) -> str:
        schema = self.schema
        wanted = schema._names.normalized(table)
        name = wanted["name"]
        contract = schema.resolve_contract_settings_for_table(name, wanted)
        validator = self.resource.validator
        allowed: TTableSchema | None = wanted
        if validator is None or not validator.is_authoritative:
            allowed, _ = apply_contract(schema, contract, wanted)
        if allowed is None:
            self.refused[name] = f"tables:{contract['tables']}"
            return name
        self.refused.pop(name, None)
        if name in schema.tables:
            allowed = settle_types(schema, allowed, self.capabilities)
        if typed := {n for n, c in allowed.get("columns", {}).items() if not c.keys().isdisjoint(TYPED)}:
            self.declared.setdefault(name, set()).update(typed)
        marks: dict[str, Any] = dict(allowed.get("x-normalizer") or {})
        if contract["columns"] != "evolve" and schema.is_new_table(name):
            # the rows of this very run may still bring columns
            marks["evolve-columns-once"] = True
        if marks:
            stored: dict[str, Any] = (schema.tables.get(name) or {}).get("x-normalizer") or {}
            allowed = cast(TTableSchema, {**allowed, X_NORMALIZER: {**stored, **marks}})
        schema.update_table(allowed, normalize_identifiers=False, merge_compound_props=False)
        settle_history(schema, name, allowed)
        return name

    def _put_parents(self, nested: TTableSchema) -> None:
        """Hints may be given for a table at some depth and none for those above it."""
        parent = nested.get("parent")
        if parent is None or self.schema.normalize_table_name(parent) in self.schema.tables:
            return
        above = parent.rpartition(self.schema.naming.PATH_SEPARATOR)[0]
        table = cast(TTableSchema, {"name": parent, "parent": above, "columns": {}})
        self._put_parents(table)
        self._put(table)
