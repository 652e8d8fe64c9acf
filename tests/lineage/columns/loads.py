"""Real loads into DuckDB, the column lineage that is said of them, and the values that are there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

import headrace as dlt
from headrace.model.events import Extracted, Normalized, SourceEnded
from headrace.observers.lineage.columns import edges
from headrace.observers.lineage.columns_memory import ColumnMemory
from headrace.observers.lineage.columns_model import ResourceFact, Source, TableLineage
from headrace.observers.lineage.columns_package import PackageSchema
from headrace.observers.lineage.columns_resource import describe


class Loads:
    """One pipeline."""

    def __init__(self, folder: Path, name: str = "cols") -> None:
        self.folder = folder
        self.pipeline = dlt.pipeline(
            name, destination=dlt.destinations.duckdb(str(folder / "w.duckdb")), dataset_name="d", pipelines_dir=folder
        )
        self.facts: list[Extracted] = []
        self.models: dict[str, str] = {}
        self.described: ResourceFact | None = None  # of the resource that was read: `run` takes a copy
        self.pipeline.observe(self._note)
        self.memory = ColumnMemory(folder / "lineage", name)

    @property
    def package(self) -> PackageSchema:
        return PackageSchema(self.pipeline.default_schema.to_dict())

    def run(self, resource: Any, remember: bool = False, **options: Any) -> dict[str, TableLineage]:
        """Load a resource; what is said of its tables."""
        self.described = None
        self.pipeline.run(resource, **options)
        package = self.package
        found = edges(self.facts[-1], package, self.described or describe(resource), models=self.models)
        return self.memory.merged(resource.name, found, package) if remember else found

    def sealed(self, source: Any) -> tuple[dict[tuple[str, str], list[Any]], PackageSchema]:
        """The columns of what a source becomes, by table and name, and its schema; nothing of it is loaded."""
        self.pipeline.extract(source)
        self.pipeline.normalize()
        found: dict[tuple[str, str], list[Any]] = {}
        (load_id,) = self.pipeline.list_normalized_load_packages()
        package = self.pipeline._store.get(load_id)
        fact, schema = package.fact(Normalized), PackageSchema(package.load_schema())
        assert fact is not None
        for file in fact.files:
            with pa.OSFile(str(package.path / file.path)) as opened, pa.ipc.open_stream(opened) as stream:
                for name, values in stream.read_all().to_pydict().items():
                    found.setdefault((file.table, name), []).extend(values)
        self.pipeline.drop_pending_packages()
        return found, schema

    def _note(self, event: Any, run: Any) -> None:
        if isinstance(event, SourceEnded):
            self.described = describe(next(iter(run.extras["source"].resources.selected.values())))
        if isinstance(event, Extracted):
            self.facts.append(event)
            for file in event.files:
                if file.format == "model":
                    self.models[file.path] = (
                        self.folder / self.pipeline.pipeline_name / "packages" / event.load_id / file.path
                    ).read_text()

    def rows(self, table: str) -> list[dict[str, Any]]:
        with self.pipeline.sql_client() as client, client.execute_query(f'SELECT * FROM "{table}"') as cursor:
            names = [d[0] for d in cursor.description]
            return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]

    def values(self, table: str, column: str) -> list[Any]:
        """All values of a column but NULL."""
        with self.pipeline.sql_client() as client, client.execute_query(f'SELECT "{column}" FROM "{table}"') as cursor:
            return [row[0] for row in cursor.fetchall() if row[0] is not None]


def at(document: Any, path: list[str | None]) -> Iterator[Any]:
    """The values at a path of a document, but None: a walk of its own."""
    if not path:
        if document is not None:
            yield document
        return
    key, rest = path[0], path[1:]
    if key is None:
        if isinstance(document, (list, tuple)):
            for item in document:
                yield from at(item, rest)
    elif isinstance(document, dict):
        for own, value in document.items():
            if str(own) == key:
                yield from at(value, rest)


def said(sources: list[Source]) -> dict[str, list[tuple[str, str, str]]]:
    """Sources by field: type, subtype and words of their transformations."""
    return {s.field: [(t.type, t.subtype, t.description) for t in s.transformations] for s in sources}
