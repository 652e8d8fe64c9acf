"""The part of `Schema` that turns it into text for people."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from headrace.model.schema_renaming import SchemaRenaming

if TYPE_CHECKING:
    from headrace.model.schema import Schema


class SchemaText(SchemaRenaming):
    """Exports of a schema; what makes them is imported when first used."""

    def to_dict(
        self, remove_defaults: bool = False, remove_processing_hints: bool = False, bump_version: bool = True
    ) -> dict[str, Any]:
        """The stored form, as a copy."""
        raise NotImplementedError

    def to_pretty_json(self, remove_defaults: bool = True, remove_processing_hints: bool = False) -> str:
        """The stored form as indented JSON."""
        from headrace.model.schema_export import to_pretty_json

        return to_pretty_json(self.to_dict(remove_defaults, remove_processing_hints))

    def to_pretty_yaml(self, remove_defaults: bool = True, remove_processing_hints: bool = False) -> str:
        """The stored form as YAML."""
        from headrace.model.schema_export import to_pretty_yaml

        return to_pretty_yaml(self.to_dict(remove_defaults, remove_processing_hints))

    def to_dbml(
        self,
        remove_processing_hints: bool = False,
        include_dlt_tables: bool = True,
        include_internal_dlt_ref: bool = True,
        include_parent_child_ref: bool = True,
        include_root_child_ref: bool = True,
        group_by_resource: bool = False,
    ) -> str:
        """The schema in the database markup language of dbdiagram.io.

        Args:
            remove_processing_hints: Accepted for compatibility: such hints are never shown.
            include_dlt_tables: Whether to show the tables of the engine.
            include_internal_dlt_ref: Whether to show references to them.
            include_parent_child_ref: Whether to show references of nested rows to their parents.
            include_root_child_ref: Whether to show references of nested rows to their roots.
            group_by_resource: Whether tables of one resource are grouped.
        """
        from headrace.model.schema_export import to_dbml

        which = {
            "loads": include_internal_dlt_ref,
            "parents": include_parent_child_ref,
            "roots": include_root_child_ref,
        }
        return to_dbml(cast("Schema", self), include_dlt_tables, group_by_resource, **which)

    def to_dot(
        self,
        remove_processing_hints: bool = False,
        include_dlt_tables: bool = True,
        include_internal_dlt_ref: bool = True,
        include_parent_child_ref: bool = True,
        include_root_child_ref: bool = True,
        group_by_resource: bool = False,
    ) -> str:
        """A Graphviz diagram; the arguments are those of `to_dbml`."""
        from headrace.model.schema_export import to_dot

        which = {
            "loads": include_internal_dlt_ref,
            "parents": include_parent_child_ref,
            "roots": include_root_child_ref,
        }
        return to_dot(cast("Schema", self), include_dlt_tables, group_by_resource, **which)

    def to_mermaid(
        self,
        remove_processing_hints: bool = False,
        hide_columns: bool = False,
        hide_descriptions: bool = False,
        include_dlt_tables: bool = True,
    ) -> str:
        """An entity diagram for Mermaid.

        Args:
            remove_processing_hints: Accepted for compatibility: such hints are never shown.
            hide_columns: Whether to show tables only.
            hide_descriptions: Whether to leave out descriptions of columns.
            include_dlt_tables: Whether to show the tables of the engine.
        """
        from headrace.model.schema_export import to_mermaid

        return to_mermaid(cast("Schema", self), hide_columns, hide_descriptions, include_dlt_tables)
