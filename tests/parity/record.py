"""Record what dlt makes of the cases: run by hand in an environment that has dlt, writes ``recorded.json``.

python -m tests.parity.record
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from tests.parity.cases import all_cases
from tests.parity.snapshot import snapshot


def load(dlt: Any, name: str, folder: Path, **run: Any) -> Any:
    """Load a case and give the pipeline."""
    docs, arguments = all_cases()[name]
    pipeline = dlt.pipeline(
        "parity",
        pipelines_dir=str(folder / "pipelines"),
        destination=dlt.destinations.duckdb(str(folder / "parity_db.duckdb")),
        dataset_name="data",
    )
    pipeline.run(dlt.resource(docs, name="docs", **arguments), **run)
    return pipeline


def ordered(columns: Any) -> list[Any]:
    """Columns of the first row as they stand; those that came later by name, for they depend on who worked in parallel.

    What dlt writes into the description of a variant is left out.
    """
    plain = [{k: v for k, v in c.items() if k != "description"} for c in columns]
    names = [c["name"] for c in plain]
    first = names.index("_dlt_id") + 1 if "_dlt_id" in names else len(names)
    return plain[:first] + sorted(plain[first:], key=lambda c: str(c["name"]))


def content(schema: Any) -> dict[str, Any]:
    """A schema without what the engines say of their own tables."""
    return content_of(schema.to_dict())


def content_of(document: dict[str, Any]) -> dict[str, Any]:
    """The same of a schema's document."""
    tables = {
        name: {**{k: v for k, v in table.items() if k != "file_format"}, "columns": ordered(table["columns"].values())}
        for name, table in document["tables"].items()
        if not name.startswith("_dlt")
    }
    return {"tables": tables, "normalizers": document["normalizers"], "settings": document["settings"]}


def main() -> None:
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    import dlt

    found = {}
    for name in all_cases():
        with tempfile.TemporaryDirectory() as folder:
            try:
                pipeline = load(dlt, name, Path(folder), loader_file_format="parquet")
            except Exception as error:  # some documents are beyond dlt: nothing to compare with
                print(f"{name}: {str(error.__cause__)[:200]}")
                continue
            found[name] = {
                "tables": snapshot(Path(folder) / "parity_db.duckdb", "data"),
                "schema": content(pipeline.default_schema),
            }
    record = {"dlt": dlt.__version__, "cases": found}
    Path(__file__).with_name("recorded.json").write_text(
        json.dumps(record, separators=(",", ":"), sort_keys=True, ensure_ascii=False)
    )


if __name__ == "__main__":
    main()
