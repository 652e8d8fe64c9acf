"""The part of `Schema` that holds rules: default hints, preferred types, detections, contract."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, cast

from headrace.model.contract import (
    Discarded,
    apply_contract,
    expand_contract,
    resolve_contract,
)
from headrace.model.schema_lookup import SchemaLookup
from headrace.model.schema_settings import (
    ColumnSettings,
    merge_hints,
    normalize_pattern,
)
from headrace.typing import (
    TDataType,
    TSchemaContract,
    TSchemaContractDict,
    TTableSchema,
)

if TYPE_CHECKING:
    from headrace.model.schema import Schema


class SchemaRules(SchemaLookup):
    """Settings of a schema and what follows from them."""

    def _compile_settings(self) -> None:
        """Forget what was worked out from the settings; call it after changing `settings` by hand."""
        self._column_settings = ColumnSettings(self._settings)

    def _spelled_hints(self, hints: Mapping[str, Iterable[str]]) -> dict[str, list[str]]:
        return {h: [normalize_pattern(self.naming, p) for p in patterns] for h, patterns in hints.items()}

    def merge_hints(
        self, new_hints: Mapping[str, Iterable[str]], replace: bool = False, normalize_identifiers: bool = True
    ) -> None:
        """Add patterns of column names to default hints, or replace those of the hints that are named."""
        merge_hints(self._settings, self._spelled_hints(new_hints) if normalize_identifiers else new_hints, replace)
        self._compile_settings()

    def update_preferred_types(
        self, new_preferred_types: Mapping[str, TDataType], normalize_identifiers: bool = True
    ) -> None:
        """Prefer data types for columns whose names match patterns."""
        types = self._settings.setdefault("preferred_types", {})
        for pattern, data_type in new_preferred_types.items():
            types[normalize_pattern(self.naming, pattern) if normalize_identifiers else pattern] = data_type
        self._compile_settings()

    def add_type_detection(self, detection: str) -> None:
        """Look at values of new columns in one more way (see `headrace.model.types.DETECTIONS`)."""
        detections = self._settings.setdefault("detections", [])
        if detection not in detections:
            detections.append(detection)

    def remove_type_detection(self, detection: str) -> None:
        """Stop looking at values in a way."""
        detections = self._settings.get("detections") or []
        if detection in detections:
            detections.remove(detection)

    def set_schema_contract(self, settings: TSchemaContract | None) -> None:
        """Set the contract for all tables that have none of their own; empty or None removes it."""
        if settings:
            expand_contract(settings)
            self._settings["schema_contract"] = settings
        else:
            self._settings.pop("schema_contract", None)

    # ---- contract ----------------------------------------------------------------------------------------------------

    @staticmethod
    def expand_schema_contract_settings(
        settings: TSchemaContract | None, default: TSchemaContractDict | None = None
    ) -> TSchemaContractDict:
        """A contract with a mode for each of tables, columns and data types."""
        return expand_contract(settings, default)

    def resolve_contract_settings_for_table(
        self, table_name: str, new_table_schema: TTableSchema | None = None
    ) -> TSchemaContractDict:
        """The contract that applies to a table: its own, that of a table above it, or the schema's."""
        return resolve_contract(cast("Schema", self), table_name, new_table_schema)

    def apply_schema_contract(
        self,
        schema_contract: TSchemaContractDict,
        partial_table: TTableSchema,
        data_item: Any = None,
        raise_on_freeze: bool = True,
    ) -> tuple[TTableSchema | None, list[Discarded]]:
        """Cut a table down to what the contract allows; see `headrace.model.contract.apply_contract`."""
        return apply_contract(cast("Schema", self), schema_contract, partial_table, data_item, raise_on_freeze)
