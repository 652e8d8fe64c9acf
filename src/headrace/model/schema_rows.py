"""The part of `Schema` that turns single documents into rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, cast

from headrace.model.schema_rules import SchemaRules

if TYPE_CHECKING:
    from headrace.model.rowwise import RowAt
    from headrace.model.schema import Schema


class SchemaRows(SchemaRules):
    """Rows of documents, one item at a time; pipelines work on whole batches instead."""

    def normalize_data_item(self, item: Any, load_id: str, table_name: str) -> Iterator[RowAt]:
        """The rows that a document becomes: with normalized names and keys, values as they came.

        Args:
            item: A document; anything else becomes ``{"value": item}``.
            load_id: For the root row.
            table_name: The root table's name, normalized.

        Yields:
            ``(table, path of the parents, own key), row``, parents before children.
        """
        from headrace.model.rowwise import RowByRow

        return RowByRow(cast("Schema", self), load_id, table_name).rows(item)
