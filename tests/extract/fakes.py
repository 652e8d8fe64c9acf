"""A sink that keeps what it gets, and a way to run the stage without a pipeline."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pyarrow as pa

from headrace.extract.rejects import Rejections
from headrace.extract.settings import ExtractSettings
from headrace.extract.stage import SourceExtractResult, extract_source
from headrace.extract.state import state_scope
from headrace.extract.wrap import wrap_data
from headrace.model.schema import Schema


class MemorySink:
    """Rows, frames, files and empty tables, by table."""

    def __init__(self) -> None:
        self.rows: dict[str, list[Any]] = {}
        self.frames: dict[str, list[Any]] = {}
        self.files: list[tuple[str, str, str, int]] = []
        self.empty: list[str] = []
        self.calls = 0
        self.nesting: dict[str, int | None] = {}
        self.rejections = Rejections(Schema("shop"), self, keep=False)  # type: ignore[arg-type]

    def write_rows(self, table: str, rows: list[Any], *, resource: str, max_nesting: int | None) -> None:
        self.calls += 1
        self.nesting[table] = max_nesting
        self.rows.setdefault(table, []).extend(rows)

    def write_arrow(self, table: str, item: Any, *, resource: str) -> None:
        self.frames.setdefault(table, []).append(item)

    def write_empty(self, table: str, *, resource: str) -> None:
        self.empty.append(table)

    def import_file(self, table: str, path: str, *, file_format: str, rows: int, resource: str) -> None:
        self.files.append((table, path, file_format, rows))


class Run:
    """What one run of the stage left behind."""

    def __init__(self, schema: Schema, sink: MemorySink, results: list[SourceExtractResult], state: dict[str, Any]):
        self.schema, self.sink, self.results, self.state = schema, sink, results, state

    @property
    def rows(self) -> dict[str, list[Any]]:
        return self.sink.rows

    @property
    def result(self) -> SourceExtractResult:
        return self.results[-1]

    def table(self, name: str) -> dict[str, Any]:
        return self.schema.tables[name]  # type: ignore[return-value]


def run(
    data: Any,
    *,
    schema: Schema | None = None,
    state: dict[str, Any] | None = None,
    settings: ExtractSettings | None = None,
    publish: Callable[[Any], None] | None = None,
    **hints: Any,
) -> Run:
    """Extract data as a pipeline would, into one schema."""
    target = schema if schema is not None else Schema("shop")
    document: dict[str, Any] = {} if state is None else state
    sink = MemorySink()
    with state_scope(document):
        sources = wrap_data(data, default_schema_name=target.name, **hints)
        results = [extract_source(source, target, sink, settings, publish) for source in sources]
    return Run(target, sink, results, document)


def seen(schema: Schema, *tables: str) -> Schema:
    """Mark tables as normalize does once they have had rows."""
    for table in tables:
        schema.tables[table].setdefault("x-normalizer", {})["seen-data"] = True
        schema.update_table({"name": table, "columns": {"id": {"name": "id", "data_type": "bigint"}}})
    return schema


def table_of(**columns: list[Any]) -> pa.Table:
    return pa.table(columns)
