"""Record what dlt makes of real documents: writes ``documents.json.xz``, digests instead of rows.

python -m tests.parity.record_documents
"""

from __future__ import annotations

import hashlib
import json
import lzma
import tempfile
from pathlib import Path
from typing import Any

from tests.parity.documents import CASES, NotHere, Runs
from tests.parity.record import content_of
from tests.parity.snapshot import snapshot

RECORDED = Path(__file__).with_name("documents.json.xz")
# runs in either engine; finds the name `place` set
SCRIPT = """
import json
from pathlib import Path

import {engine} as dlt

pipeline = dlt.pipeline(
    "parity",
    pipelines_dir=place + "/pipelines",
    destination=dlt.destinations.duckdb(place + "/parity_db.duckdb"),
    dataset_name="data",
)
for run in json.loads(Path(place, "runs.json").read_text()):
    pipeline.run([dlt.resource(rows, name=name) for name, rows in run.items()], loader_file_format="parquet")
Path(place, "schema.json").write_text(json.dumps(pipeline.default_schema.to_dict()))
"""


def recorded() -> dict[str, Any]:
    """The recorded outcomes by case."""
    found: dict[str, Any] = json.loads(lzma.decompress(RECORDED.read_bytes()))["cases"]
    return found


def prepare(runs: Runs, folder: Path) -> None:
    """Put the documents where the script finds them."""
    (folder / "runs.json").write_text(json.dumps(runs))


def outcome(folder: Path) -> dict[str, Any]:
    """What the script left: columns, number of rows and a digest of the values of each column, by table."""
    schema = content_of(json.loads((folder / "schema.json").read_text()))
    found = {}
    for name, table in snapshot(folder / "parity_db.duckdb", "data").items():
        values: dict[str, list[str]] = {}
        for row in table["rows"]:
            for column, value in row.items():
                values.setdefault(column, []).append(f"{row['@']}={value}")
        found[name] = {
            "columns": table["columns"],
            "rows": len(table["rows"]),
            "values": {column: _digest(*sorted(texts)) for column, texts in sorted(values.items())},
            "schema": _digest(json.dumps(schema["tables"][name], sort_keys=True)),
        }
    return {"tables": found, "settings": schema["settings"], "normalizers": schema["normalizers"]}


def _digest(*texts: str) -> str:
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:12]


def main() -> None:
    from tests.continuity.engines import Engine, dlt_python

    cases = {}
    with Engine("dlt", dlt_python("1.31")) as engine:
        for name, make in CASES.items():
            try:
                runs = make()
            except NotHere as error:
                raise SystemExit(f"{name}: {error}") from error
            with tempfile.TemporaryDirectory() as place:
                folder = Path(place)
                prepare(runs, folder)
                engine.run(SCRIPT, folder, {"RUNTIME__LOG_LEVEL": "ERROR"}, place=place)
                cases[name] = outcome(folder)
                print(name, len(cases[name]["tables"]), "tables")
        record = {"dlt": engine.version, "cases": cases}
    text = json.dumps(record, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    RECORDED.write_bytes(lzma.compress(text.encode(), preset=9))


if __name__ == "__main__":
    main()
