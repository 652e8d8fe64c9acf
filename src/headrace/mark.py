"""Marks on items: where they go, and what their table is like."""

from headrace.extract.mark import (
    make_hints,
    make_nested_hints,
    materialize_table_schema,
    with_file_import,
    with_hints,
    with_table_name,
)

__all__ = [
    "make_hints",
    "make_nested_hints",
    "materialize_table_schema",
    "with_file_import",
    "with_hints",
    "with_table_name",
]
