"""A schema with every disposition, and packages of it made by hand: the load room's tests need no other room."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from headrace.model.jobs import LoadFile, SpoolFile
from headrace.model.schema import Schema
from headrace.model.tables import new_column, new_table, pipeline_state_table
from headrace.package.package import Package
from headrace.package.store import PackageStore

Rows = Mapping[str, Sequence[Mapping[str, Any]]]
SEEN = {"seen-data": True}


def _table(name: str, columns: Sequence[str], **props: Any) -> Any:
    table = new_table(name, columns=[new_column(c, "bigint" if c == "n" else "text") for c in columns], **props)
    table["x-normalizer"] = dict(SEEN)
    for column, hint in (("_dlt_id", "row_key"), ("_dlt_root_id", "root_key")):
        if column in columns:
            table["columns"][column][hint] = True  # type: ignore[literal-required]
    return table


def make_schema(**hints: Any) -> Schema:
    """events (append), snapshot with parts (replace), accounts with lines (merge), skipped (skip), fresh (no data)."""
    schema = Schema("shop")
    schema.update_table(_table("events", ["n", "_dlt_id"]))
    schema.update_table(_table("snapshot", ["n", "_dlt_id"], write_disposition="replace"))
    schema.update_table(_table("snapshot__parts", ["n", "_dlt_root_id", "_dlt_id"], parent_table_name="snapshot"))
    accounts = _table("accounts", ["n", "v", "_dlt_id"], write_disposition="merge")
    accounts["columns"]["n"]["primary_key"] = True
    schema.update_table(accounts)
    schema.update_table(_table("accounts__lines", ["n", "_dlt_root_id", "_dlt_id"], parent_table_name="accounts"))
    schema.update_table(_table("skipped", ["n"], write_disposition="skip"))
    schema.update_table(new_table("fresh", write_disposition="replace"))
    schema.update_table(pipeline_state_table(add_dlt_id=True))
    for table, hint in hints.items():
        schema.tables[table].update(hint)
    return schema


def state_rows(version: int) -> list[dict[str, Any]]:
    """A row for the state's table."""
    return [
        {
            "version": version,
            "engine_version": 4,
            "pipeline_name": "pipe",
            "state": "x",
            "created_at": "2026-01-01T00:00:00Z",
            "version_hash": None,
            "_dlt_load_id": "1",
            "_dlt_id": f"s{version}",
        }
    ]


def write_files(package: Package, folder: str, rows: Rows, format: str = "jsonl") -> list[tuple[str, str, int, int]]:
    """Write rows as JSON lines; gives table, path, rows and bytes of each file."""
    written = []
    for number, (table, items) in enumerate(rows.items()):
        path = f"{folder}/{table}.f{number:03}.{format}"
        text = "".join(json.dumps(item) + "\n" for item in items)
        (package.path / path).write_text(text)
        written.append((table, path, len(items), len(text)))
    return written


def seal_extracted(
    package: Package, schema: Schema, rows: Rows, state: dict[str, Any], also: Sequence[str] = ()
) -> None:
    """Extract: rows and state become the package's. ``also`` are replaced tables without rows."""
    files = [SpoolFile(path=p, table=t, rows=n, size=s) for t, p, n, s in write_files(package, "spool", rows)]
    files += [SpoolFile(path="", table=table, kind="empty") for table in also]
    package.seal_extracted(files, schema.to_dict(), state)


def seal_normalized(package: Package, schema: Schema) -> None:
    """Normalize: here a plain copy of the spool."""
    from headrace.model.events import Extracted

    extracted = package.fact(Extracted)
    assert extracted is not None
    files = []
    for number, spool in enumerate(f for f in extracted.files if f.path):
        path = f"files/{spool.table}.{number:03}.jsonl"
        (package.path / path).write_bytes((package.path / spool.path).read_bytes())
        files.append(
            LoadFile(id=f"{number:03}", table=spool.table, path=path, format="jsonl", rows=spool.rows, size=spool.size)
        )
    package.seal_normalized(files, schema.to_dict())


def make_package(store: PackageStore, schema: Schema, rows: Rows, also: Sequence[str] = ()) -> Package:
    """A normalized package of these rows."""
    package = store.create("shop", pipeline_name="pipe")
    seal_extracted(package, schema, rows, {}, also)
    seal_normalized(package, schema)
    return package
