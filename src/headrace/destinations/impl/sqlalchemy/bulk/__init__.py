"""Ways to bring Arrow batches into a table, inside the transaction that is open.

Each module has a function ``insert(session, work) -> rows``; measured figures stand in docs/destinations/sqlalchemy.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from headrace.typing import TColumnSchema

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class Insert:
    """Rows and where they go.

    Attributes:
        target: The table, ready for a statement.
        columns: Its columns that the rows have, in the order of the batches.
        schema: Of the batches.
        batches: Of a bounded number of rows.
        rows: How many there are in all, as far as the file tells.
        folder: Where files may be made for a while.
        table: The table's name in the schema, for errors.
    """

    target: str
    columns: Sequence[TColumnSchema]
    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]
    rows: int
    folder: Path
    table: str
