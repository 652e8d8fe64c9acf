"""What a load left in DuckDB, in a form that does not depend on random ids, times or the loader."""

from __future__ import annotations

from pathlib import Path
from typing import Any

KEYS = ("_dlt_id", "_dlt_parent_id", "_dlt_root_id", "_dlt_load_id")


def snapshot(database: Path, dataset: str) -> dict[str, Any]:
    """Columns with types, and rows named by their place, of every data table."""
    import duckdb

    con = duckdb.connect(str(database), read_only=True)
    con.execute("SET TimeZone = 'UTC'")
    names = [
        t
        for (t,) in con.execute(
            "SELECT table_name FROM duckdb_tables() WHERE schema_name = ? ORDER BY table_name", [dataset]
        ).fetchall()
        if not t.startswith(("_dlt", "_headrace"))
    ]
    tables: dict[str, tuple[list[str], list[dict[str, Any]]]] = {}
    for name in names:
        columns = con.execute(
            "SELECT column_name, data_type, is_nullable FROM duckdb_columns() WHERE schema_name = ? AND table_name = ?"
            " ORDER BY column_index",
            [dataset, name],
        ).fetchall()
        described = [f"{c} {t}{'' if n else ' NOT NULL'}" for c, t, n in columns]
        casts = ", ".join(f'CAST("{c}" AS VARCHAR) AS "{c}"' for c, _, _ in columns)
        rows = con.execute(f'SELECT {casts} FROM "{dataset}"."{name}"').fetchall()
        tables[name] = (described, [dict(zip([c for c, _, _ in columns], row, strict=True)) for row in rows])
    con.close()
    return _named(tables)


def _named(tables: dict[str, tuple[list[str], list[dict[str, Any]]]]) -> dict[str, Any]:
    places: dict[str, str] = {}
    waiting = {name: rows for name, (_, rows) in tables.items()}
    for name, rows in waiting.items():
        for row in rows:
            if "_dlt_parent_id" not in row and "_dlt_id" in row:
                places[row["_dlt_id"]] = f"{name}#{row['id']}"
    for _ in range(10):
        for name, rows in waiting.items():
            for row in rows:
                parent = row.get("_dlt_parent_id")
                if parent in places:
                    places[row["_dlt_id"]] = f"{places[parent]}/{name}[{row['_dlt_list_idx']}]"
    out: dict[str, Any] = {}
    for name, (columns, rows) in tables.items():
        plain = []
        for row in rows:
            kept = {k: v for k, v in row.items() if v is not None and k not in KEYS}
            kept["@"] = places.get(row.get("_dlt_id", ""), "lost")
            if "_dlt_root_id" in row:
                kept["@root"] = places.get(row["_dlt_root_id"], "lost")
            plain.append(kept)
        first = next((i + 1 for i, c in enumerate(columns) if c.startswith("_dlt_id ")), len(columns))
        out[name] = {
            "columns": columns[:first] + sorted(columns[first:]),
            "rows": sorted(plain, key=lambda r: str(sorted(r.items()))),
        }
    return out
