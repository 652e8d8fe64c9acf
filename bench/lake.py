"""Merging 1 % into a large lake table: time, peak memory, and what was written anew.

    python bench/lake.py                          Delta and Iceberg, 50,000 rows into 5,000,000
    python bench/lake.py --rows 500000 delta      smaller, one format
    python bench/lake.py --engines headrace,native   beside deltalake's MERGE and pyiceberg's upsert

``tail``: the rows that change are the newest ones, as in most feeds. ``random``: they lie in every file. Each
measurement runs in a process of its own; peak memory is that of the process above what it had after its imports.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

FORMATS = ("delta", "iceberg")
KINDS = ("tail", "random")
BATCH = 50_000
COLUMNS = {
    "id": {"data_type": "bigint", "primary_key": True, "nullable": False},
    "name": {"data_type": "text"},
    "city": {"data_type": "text"},
    "amount": {"data_type": "double"},
    "quantity": {"data_type": "bigint"},
    "at": {"data_type": "timestamp"},
    "note": {"data_type": "text"},
    "_dlt_load_id": {"data_type": "text", "nullable": False},
    "_dlt_id": {"data_type": "text", "nullable": False, "unique": True, "row_key": True},
}
TABLE = {"name": "customers", "columns": {name: {"name": name, **facts} for name, facts in COLUMNS.items()}}


def batch_of(ids: Any, load: str) -> Any:
    import numpy as np
    import pyarrow as pa

    return pa.record_batch(
        {
            "id": pa.array(ids, pa.int64()),
            "name": pa.array([f"customer {i}" for i in ids]),
            "city": pa.array([f"city {i % 1000}" for i in ids]),
            "amount": pa.array(np.asarray(ids) * 1.25 + len(load)),
            "quantity": pa.array(np.asarray(ids) % 1000),
            "at": pa.array(np.asarray(ids) * 1_000_000, pa.timestamp("us", "UTC")),
            "note": pa.array([f"note {i * 7919 % 1_000_003} of some length" for i in ids]),
            "_dlt_load_id": pa.array([load] * len(ids)),
            "_dlt_id": pa.array([f"{i * 2654435761 % 2**40:014x}" for i in ids]),
        }
    )


def source_of(ids: Any, load: str) -> Any:
    import pyarrow as pa

    from headrace.destinations.impl.filesystem.tableformats import RowSource

    schema = batch_of(ids[:1], load).schema

    def batches() -> Iterator[Any]:
        for at in range(0, len(ids), BATCH):
            yield batch_of(ids[at : at + BATCH], load)

    return RowSource(read=lambda: pa.RecordBatchReader.from_batches(schema, batches()), schema=schema, rows=len(ids))


def open_table(kind: str, folder: Path) -> Any:
    from headrace.destinations.impl.filesystem.tableformats import TablePlace, table_format
    from headrace.model.capabilities import Capabilities

    place = TablePlace(
        url=str(folder / "customers"),
        protocol="file",
        dataset_name="bench",
        dataset_url=str(folder),
        table_name="customers",
        credentials=None,
        storage_options={},
        settings=SimpleNamespace(),
        capabilities=Capabilities(),
    )
    return table_format(kind, "customers").open(place, TABLE)  # type: ignore[arg-type]


def make(kind: str, folder: Path, rows: int) -> None:
    """The table, in five loads."""
    import numpy as np

    table = open_table(kind, folder)
    table.create(TABLE)
    share = rows // 5
    for at in range(5):
        table.append(source_of(np.arange(at * share, (at + 1) * share), f"{at}"), f"{at}.copy-0")


def changed_ids(kind: str, rows: int) -> Any:
    """1 % of the rows; a tenth of them are new."""
    import numpy as np

    count = rows // 100
    if kind == "tail":
        return np.arange(rows - count + count // 10, rows + count // 10)
    ids = np.sort(np.random.default_rng(5).choice(rows, count, replace=False))
    ids[-(count // 10) :] += rows
    return ids


def merge(engine: str, kind: str, folder: Path, source: Any) -> dict[str, Any]:
    from headrace.destinations.impl.filesystem.tableformats import ChainTable, table_format

    table = open_table(kind, folder)
    if engine == "native" and kind == "delta":
        merging = table.native().merge(source.read(), "t.id = s.id", source_alias="s", target_alias="t")
        return dict(merging.when_matched_update_all().when_not_matched_insert_all().execute())
    if engine == "native":
        import pyarrow as pa

        rows = pa.Table.from_batches([b.cast(table.arrow_schema()) for b in source.read()])
        done = table.native().upsert(rows, join_cols=["id"])
        return {"updated": done.rows_updated, "inserted": done.rows_inserted}
    chain = [ChainTable(table=table, schema=TABLE, rows=source)]  # type: ignore[arg-type]
    applied = table_format(kind, "customers").merge(chain, "upsert", "9.merge-0")
    return dict(applied.changes["customers"]._asdict())


class Peak(threading.Thread):
    """Watches the memory of this process."""

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.base = self.peak = self._now()
        self._stop = threading.Event()

    @staticmethod
    def _now() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    def run(self) -> None:
        while not self._stop.wait(0.01):
            self.peak = max(self.peak, self._now())

    def finish(self) -> float:
        """Megabytes above the beginning."""
        self._stop.set()
        return (self.peak - self.base) / 2**20


def measure(engine: str, kind: str, rows: int, how: str, folder: Path) -> dict[str, Any]:
    source = source_of(changed_ids(how, rows), "9")
    open_table(kind, folder).describe()  # the imports
    watch = Peak()
    watch.start()
    began = time.perf_counter()
    said = merge(engine, kind, folder, source)
    seconds = time.perf_counter() - began
    return {
        "seconds": round(seconds, 2),
        "peak_mb": round(watch.finish()),
        "said": {k: str(v) for k, v in said.items()},
    }


def in_process(*arguments: str) -> dict[str, Any]:
    command = [sys.executable, __file__, "--inside", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)} failed:\n{done.stderr[-3000:]}")
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def inside(arguments: list[str]) -> None:
    act, kind, rows, folder, *rest = arguments
    if act == "make":
        make(kind, Path(folder), int(rows))
        print("{}")
        return
    engine, how = rest
    print(json.dumps(measure(engine, kind, int(rows), how, Path(folder))))


def compare(kinds: list[str], engines: list[str], rows: int) -> list[dict[str, Any]]:
    """All measurements, a line each."""
    results = []
    with tempfile.TemporaryDirectory(prefix="headrace-bench-lake-") as root:
        for kind in kinds:
            base = Path(root, kind)
            in_process("make", kind, str(rows), str(base / "ds"))
            kept = base / "kept"
            shutil.copytree(base / "ds", kept)
            for how in KINDS:
                for engine in engines:
                    # Iceberg's files name their folder: the copy must lie where the table was made
                    shutil.rmtree(base / "ds")
                    shutil.copytree(kept, base / "ds")
                    found = in_process("merge", kind, str(rows), str(base / "ds"), engine, how)
                    results.append({"format": kind, "rows": how, "engine": engine, **found})
                    told = f"{found['seconds']:7.2f} s  {found['peak_mb']:6} MB  {found['said']}"
                    print(f"{kind:8} {how:7} {engine:9} {told}", flush=True)
    return results


def main() -> None:
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("formats", nargs="*", default=list(FORMATS))
    parser.add_argument("--rows", type=int, default=5_000_000)
    parser.add_argument("--engines", default="headrace")
    given = parser.parse_args()
    compare(given.formats, given.engines.split(","), given.rows)


if __name__ == "__main__":
    main()
