"""Marks on items: where they go, and what their table is like."""

from __future__ import annotations

from typing import Any

from headrace.extract.hints import TResourceHints, make_hints, make_nested_hints
from headrace.extract.items import (
    CheckpointMark,
    DataItemWithMeta,
    HintsMeta,
    ImportFileMeta,
    MaterializedEmptyList,
    TableNameMeta,
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


def with_table_name(item: Any, table_name: str) -> DataItemWithMeta[Any]:
    """Send an item, or a page of items, to a table.

    Args:
        item: Item or page.
        table_name: The table; it gets the hints of the resource, or those of a variant of that name.
    """
    return DataItemWithMeta(TableNameMeta(table_name), item)


def with_hints(
    item: Any, hints: TResourceHints | None = None, create_table_variant: bool = False
) -> DataItemWithMeta[Any]:
    """Change the hints of the resource, from this item on.

    Args:
        item: Item or page.
        hints: As made by `make_hints`.
        create_table_variant: Keep the hints for the table they name, and send the item there; the resource stays as it
            is.
    """
    return DataItemWithMeta(HintsMeta(hints, create_table_variant), item)


def with_file_import(
    file_path: str, file_format: str, items_count: int = 0, hints: TResourceHints | Any = None
) -> DataItemWithMeta[Any]:
    """Load a finished file of rows as it is.

    Args:
        file_path: Local path. The file must stay there until it is loaded.
        file_format: ``csv``, ``jsonl``, ``parquet`` …
        items_count: Rows in the file, for the counts of the load.
        hints: As made by `make_hints`, or a frame whose columns the file has.
    """
    if hints is not None and not isinstance(hints, dict):
        hints = make_hints(columns=_columns_of(hints))
    return DataItemWithMeta(ImportFileMeta(file_path, items_count, file_format, hints), MaterializedEmptyList())


def materialize_table_schema() -> MaterializedEmptyList:
    """Yield this to make the table from its declared columns though there are no rows."""
    return MaterializedEmptyList()


def checkpoint() -> CheckpointMark:
    """Yield this where the resource's state agrees with all that was yielded before.

    For resources that keep their position in `current.resource_state`. With ``extract.checkpoint_rows`` or
    ``extract.checkpoint_seconds`` set, the rows so far may be sealed here, together with the state as it is now; a run
    that fails later is resumed from here. Without these settings it does nothing.
    """
    return CheckpointMark()


def _columns_of(frame: Any) -> list[dict[str, Any]]:
    from headrace.columns.arrow import to_tables
    from headrace.columns.arrow_schema import column_of

    schema = next(to_tables(frame)).schema
    return [{"name": field.name, **(column_of(field) or {})} for field in schema]
