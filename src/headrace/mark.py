"""Marks on items: where they go, and what their table is like."""

from headrace.extract.mark import (
    checkpoint,
    make_hints,
    make_nested_hints,
    materialize_table_schema,
    with_file_import,
    with_hints,
    with_table_name,
)

__all__ = [
    "checkpoint",
    "make_hints",
    "make_nested_hints",
    "materialize_table_schema",
    "with_file_import",
    "with_hints",
    "with_table_name",
]
