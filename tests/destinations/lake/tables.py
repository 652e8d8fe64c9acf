"""What tests of lake tables need: places, rows, and chains, without a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pyarrow as pa

from headrace.columns.coerce import arrow_type
from headrace.destinations.impl.filesystem.tableformats import ChainTable, RowSource, TablePlace, table_format
from headrace.model.capabilities import Capabilities

CAPABILITIES = Capabilities(wei_precision=(76, 0), max_timestamp_precision=6)
FORMATS = [
    __import__("pytest").param("delta", marks=__import__("pytest").mark.destination("delta")),
    __import__("pytest").param("iceberg", marks=__import__("pytest").mark.destination("iceberg")),
]


def place(root: Path | str, table: str, **more: Any) -> TablePlace:
    facts: dict[str, Any] = {
        "url": f"{root}/ds/{table}",
        "protocol": "file",
        "dataset_name": "ds",
        "dataset_url": f"{root}/ds",
        "table_name": table,
        "credentials": None,
        "storage_options": {},
        "settings": SimpleNamespace(),
        "capabilities": CAPABILITIES,
        **more,
    }
    return TablePlace(**facts)


def columns(**given: Any) -> dict[str, Any]:
    """Columns by name: a type, or a dict of hints."""
    made = {}
    for name, column in given.items():
        hints = {"data_type": column} if isinstance(column, str) else dict(column)
        made[name] = {"name": name, "nullable": True, **hints}
    return made


def schema(table_name: str, parent: str | None = None, /, **given: Any) -> dict[str, Any]:
    table: dict[str, Any] = {"name": table_name, "columns": columns(**given)}
    if parent:
        table["parent"] = parent
    return table


def source(table: dict[str, Any], rows: Sequence[dict[str, Any]], batch: int = 1000) -> RowSource:
    """Rows in the types in which they travel."""
    wanted = pa.schema([pa.field(n, arrow_type(c, CAPABILITIES)) for n, c in table["columns"].items()])
    data = pa.Table.from_pylist(list(rows), wanted)

    def read() -> pa.RecordBatchReader:
        return pa.RecordBatchReader.from_batches(wanted, data.to_batches(max_chunksize=batch))

    return RowSource(read=read, schema=wanted, rows=data.num_rows)


def open_table(kind: str, root: Path | str, table: dict[str, Any], **more: Any) -> Any:
    return table_format(kind, table["name"]).open(place(root, table["name"], **more), table)  # type: ignore[arg-type]


def made_table(kind: str, root: Path | str, table: dict[str, Any], **more: Any) -> Any:
    opened = open_table(kind, root, table, **more)
    opened.create(table)
    return opened


def merge(
    kind: str, parts: Sequence[tuple[Any, dict[str, Any], Sequence[dict[str, Any]] | None]], strategy: str, key: str
) -> Any:
    """Merge rows into a chain of open tables."""
    chain = [
        ChainTable(table=opened, schema=table, rows=None if rows is None else source(table, rows))  # type: ignore[arg-type]
        for opened, table, rows in parts
    ]
    return table_format(kind, parts[0][1]["name"]).merge(chain, strategy, key)


def rows_of(table: Any, *sort: str) -> list[dict[str, Any]]:
    found = table.read().read_all().to_pylist()
    return sorted(found, key=lambda row: tuple(str(row[name]) for name in sort)) if sort else found
