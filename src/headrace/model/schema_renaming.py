"""Giving all tables of a schema the names of another naming convention."""

from __future__ import annotations

from typing import Any

from headrace.errors.schema import (
    SchemaIdentifierNormalizationCollision,
    TableIdentifiersFrozen,
)
from headrace.model import naming as conventions
from headrace.model.naming import NamingConvention
from headrace.model.schema_naming import SchemaNames
from headrace.model.schema_rows import SchemaRows
from headrace.model.tables import has_seen_data
from headrace.typing import TSchemaTables, TTableSchema


def rename(
    schema_name: str,
    tables: TSchemaTables,
    old: SchemaNames,
    new: SchemaNames,
    freeze_all: bool,
    allow: bool,
) -> TSchemaTables:
    """Tables with the names of a new convention.

    Args:
        schema_name: For errors.
        tables: The tables as they are; they are not changed.
        old: Names of the present convention.
        new: Names of the new one.
        freeze_all: Whether any table with data forbids the change, even if its names would stay.
        allow: Whether tables with data may be renamed.

    Raises:
        TableIdentifiersFrozen: A table with data stands against it.
        SchemaIdentifierNormalizationCollision: Two tables would get one name.
    """
    renamed: TSchemaTables = {}
    for name, table in tables.items():
        spelled = new.normalized(table)
        if has_seen_data(table) and not allow:
            details = _change(table, spelled) or ("names of new data would differ from it" if freeze_all else None)
            if details:
                raise TableIdentifiersFrozen(schema_name, name, new.naming, old.naming, details)
        if spelled["name"] in renamed:
            other = next(n for n, t in tables.items() if new.table(t["name"]) == spelled["name"])
            raise SchemaIdentifierNormalizationCollision(
                schema_name, name, "table", name, other, new.naming.name(), "no two tables may have one name"
            )
        renamed[spelled["name"]] = spelled
    return renamed


def _change(table: TTableSchema, spelled: TTableSchema) -> str | None:
    if table["name"] != spelled["name"]:
        return f"it would be called `{spelled['name']}`"
    changed = [n for n in table.get("columns", {}) if n not in spelled.get("columns", {})]
    return f"columns {', '.join(changed)} would be renamed" if changed else None


class SchemaRenaming(SchemaRows):
    """The part of `Schema` that changes how names are spelled."""

    def set_naming(
        self, names: Any = None, *, max_length: int | None = None, allow_identifier_change: bool = False
    ) -> None:
        """Spell all names by a convention and a length limit from now on.

        Args:
            names: The convention, None for the present one.
            max_length: The longest name in characters; None sets no limit.
            allow_identifier_change: Whether tables that have data may get other names.

        Raises:
            TableIdentifiersFrozen: A table has data and would be renamed.
            SchemaCorruptedException: The convention does not keep the prefix of system tables.
        """
        ref = conventions.ref_of(names) if names else self._normalizers["names"]
        config = {**self._normalizers, "names": ref}
        convention = conventions.get(names or ref)
        if convention is type(self.naming) and max_length == self.naming.max_length:
            self._normalizers = config
            return
        self._respell(convention(max_length), config, allow_identifier_change)

    def will_update_normalizers(self) -> bool:
        """Whether `normalizers` name another convention than the names are spelled by."""
        breaks = self._normalizers.get("use_break_path_on_normalize") is not False
        return conventions.get(self._normalizers["names"]) is not type(self.naming) or breaks != self._names.break_path

    def update_normalizers(self) -> None:
        """Spell all names as `normalizers` say by now; a pipeline calls `set_naming` with what is configured.

        Raises:
            TableIdentifiersFrozen: A table has data and would be renamed.
        """
        if self.will_update_normalizers():
            naming = conventions.get(self._normalizers["names"])(self.naming.max_length)
            self._respell(naming, self._normalizers, False)

    def _respell(self, naming: NamingConvention, config: dict[str, Any], allow_identifier_change: bool) -> None:
        changed = type(naming) is not type(self.naming)
        breaks = config.get("use_break_path_on_normalize") is not False
        allow = allow_identifier_change or bool(config.get("allow_identifier_change_on_table_with_data"))
        new_names = SchemaNames(self._name, naming, breaks)
        self._tables = rename(self._name, self._tables, self._names, new_names, changed and not allow, allow)
        self._names, self._normalizers = new_names, config
        hints = self._settings.get("default_hints")
        if hints:
            self._settings["default_hints"] = self._spelled_hints(hints)
        self._compile_settings()
